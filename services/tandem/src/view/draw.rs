//! State to frame. Knows no terminal, no clock, no network.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Widget},
};

use super::{
    keys,
    state::{Level, LiveView, LogLine, NumberLine, PartitionLine, QueueLine},
};

/// Below this nothing can be read.
const SMALLEST: (u16, u16) = (60, 16);
const GAUGE_CELLS: u64 = 8;
/// Lines of a block that are borders.
const BORDERS: u16 = 2;

const DIM: Style = Style::new().fg(Color::DarkGray);
const GOOD: Style = Style::new().fg(Color::Green);
const ODD: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

impl Widget for &LiveView {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!("make the terminal at least {} x {}", SMALLEST.0, SMALLEST.1);
            return Paragraph::new(text).render(area, buffer);
        }
        let queues = lines(self.queues.len()).max(1) + 1 + BORDERS;
        let latencies = lines(self.latencies.len()).max(2) + BORDERS;
        let flow = lines(self.flow.len()) + BORDERS;
        let numbers = lines(self.numbers.len()).max(3) + BORDERS;
        let in_row = usize::from(area.width.saturating_sub(2) / PARTITION_WIDTH).max(1);
        let partitions = lines(self.partitions.len().div_ceil(in_row)).clamp(1, 4) + BORDERS;
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(flow.max(queues.min(6) + latencies)),
            Constraint::Length(numbers.min(8)),
            Constraint::Length(partitions),
            Constraint::Min(3),
            Constraint::Length(1),
        ]);
        let [header, upper, middle, lower, log, footer] = rows.areas(area);
        let halves = Layout::horizontal([Constraint::Fill(9), Constraint::Fill(11)]);
        let [left, right] = halves.areas(upper);
        let [right_top, right_bottom] =
            Layout::vertical([Constraint::Min(3), Constraint::Length(latencies)]).areas(right);
        let [middle_left, middle_right] = halves.areas(middle);
        self.header().render(header, buffer);
        panel(left, buffer, "messages", self.flow_lines());
        panel(right_top, buffer, "waiting by queue", self.queue_lines(right_top));
        panel(right_bottom, buffer, "latency, whole run", self.latency_lines());
        panel(middle_left, buffer, "sends in the last second", self.number_lines(middle_left));
        panel(middle_right, buffer, "the simulator's verdict so far", self.verdict_lines());
        panel(lower, buffer, &self.partition_title(), self.partition_lines(lower, in_row));
        panel(log, buffer, "log", self.log_lines(log));
        Paragraph::new(Line::styled(keys::HELP, DIM)).render(footer, buffer);
    }
}

/// Room of one partition in its row.
const PARTITION_WIDTH: u16 = 19;

impl LiveView {
    fn header(&self) -> Line<'static> {
        let mut spans = vec![Span::styled(" tandem ", STRONG), Span::raw(clock(self.elapsed_ms))];
        if let Some(left_ms) = self.left_ms {
            spans.push(Span::styled(format!(" -{}", clock(left_ms)), DIM));
        }
        spans.push(match (self.product.pid, self.product.answers) {
            (Some(_), true) => Span::styled("  product up", GOOD),
            (Some(_), false) => Span::styled("  product starting", ODD),
            (None, _) => Span::styled("  product down", BAD),
        });
        if self.product.restarts > 0 {
            spans.push(Span::styled(format!("  kills {}", self.product.restarts), ODD));
        }
        spans.push(match (self.world.talking, self.world.storm) {
            (false, _) => Span::styled("  customers paused", ODD),
            (true, Some((factor, left_ms))) => {
                Span::styled(format!("  STORM x{factor} {}s", left_ms.div_ceil(1000)), BAD)
            }
            (true, None) => Span::styled("  customers on", GOOD),
        });
        if self.world.graph_fails {
            spans.push(Span::styled("  Graph 5xx", BAD));
        }
        if self.world.phones_silent {
            spans.push(Span::styled("  phones off", ODD));
        }
        Line::from(spans)
    }

    fn flow_lines(&self) -> Vec<Line<'static>> {
        let line = |flow: &super::state::Flow| {
            let pace = format!("{:>7.1}/s", flow.per_second);
            Line::from(vec![
                Span::raw(format!("{:<18}{:>7}", flow.label, flow.total)),
                Span::styled(pace, if flow.per_second > 0.0 { GOOD } else { DIM }),
            ])
        };
        self.flow.iter().map(line).collect()
    }

    fn queue_lines(&self, area: Rect) -> Vec<Line<'static>> {
        let mut all = vec![Line::styled(
            format!("{:<16}{:>5}{:>8}{:>8}{:>5}", "", "wait", "oldest", "offered", "held"),
            DIM,
        )];
        if self.queues.is_empty() {
            all.push(Line::styled(self.silence(), DIM));
        }
        let room = inner(area).saturating_sub(1);
        all.extend(fit(&self.queues, room, queue_line));
        all
    }

    fn latency_lines(&self) -> Vec<Line<'static>> {
        let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let lines = self.latencies.iter().map(|line| {
            let (p50, p99) = (ms(line.p50_ms), ms(line.p99_ms));
            Line::raw(format!("{:<17}p50 {p50:>6}  p99 {p99:>6} ms", line.label))
        });
        lines.collect()
    }

    fn number_lines(&self, area: Rect) -> Vec<Line<'static>> {
        fit(&self.numbers, inner(area), number_line)
    }

    fn verdict_lines(&self) -> Vec<Line<'static>> {
        let one = |verdict: &super::state::Verdict| {
            let style = match (verdict.count, verdict.grave) {
                (0, _) => GOOD,
                (_, true) => BAD,
                (_, false) => ODD,
            };
            Span::styled(format!("{:<17}{:<4}", verdict.label, verdict.count), style)
        };
        let pairs = self.verdicts.chunks(2);
        pairs.map(|pair| Line::from(pair.iter().map(one).collect::<Vec<_>>())).collect()
    }

    fn partition_title(&self) -> String {
        let mut owners: Vec<&str> =
            self.partitions.iter().map(|line| line.owner.as_str()).collect();
        owners.sort_unstable();
        owners.dedup();
        let owners = if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") };
        format!("{} partitions of {owners}: epoch, inputs in flight, lag", self.partitions.len())
    }

    fn partition_lines(&self, area: Rect, in_row: usize) -> Vec<Line<'static>> {
        if self.partitions.is_empty() {
            return vec![Line::styled(self.silence(), DIM)];
        }
        let rows: Vec<&[PartitionLine]> = self.partitions.chunks(in_row).collect();
        fit(&rows, inner(area), |row| {
            let cells = row.iter().map(|line| {
                let cell = format!(
                    "{:>2} e{} {} {}ms",
                    line.partition, line.epoch, line.in_flight, line.lag_ms
                );
                format!("{cell:<width$}", width = usize::from(PARTITION_WIDTH))
            });
            Line::raw(cells.collect::<String>())
        })
    }

    fn log_lines(&self, area: Rect) -> Vec<Line<'static>> {
        let room = inner(area);
        let first = self.log.len().saturating_sub(room);
        self.log.iter().skip(first).map(log_line).collect()
    }

    fn silence(&self) -> &'static str {
        if self.product.pid.is_some() {
            "the product does not answer yet"
        } else {
            "the product is down"
        }
    }
}

fn queue_line(line: &QueueLine) -> Line<'static> {
    let name: String = format!("{} {}", line.business, line.queue).chars().take(16).collect();
    let age = line.oldest_ms.map_or_else(|| "-".to_owned(), age);
    let style = match line.oldest_ms {
        Some(ms) if ms >= 30_000 => BAD,
        Some(ms) if ms >= 5_000 => ODD,
        _ => Style::new(),
    };
    Line::from(vec![
        Span::raw(format!("{name:<16}{:>5}", line.waiting)),
        Span::styled(format!("{age:>8}"), style),
        Span::raw(format!("{:>8}{:>5}", line.offered, line.assigned)),
    ])
}

fn number_line(line: &NumberLine) -> Line<'static> {
    let share = line.last_second.saturating_mul(GAUGE_CELLS).div_ceil(line.limit.max(1));
    let full = share.min(GAUGE_CELLS);
    let style = match line.last_second {
        over if over > line.limit => BAD,
        near if near * 10 >= line.limit * 8 => ODD,
        _ => GOOD,
    };
    let cells = |count: u64, cell: &str| cell.repeat(usize::try_from(count).unwrap_or(0));
    let start = line.phone_number_id.chars().count().saturating_sub(6);
    let name: String = line.phone_number_id.chars().skip(start).collect();
    Line::from(vec![
        Span::raw(format!("…{name} ")),
        Span::styled(cells(full, "█"), style),
        Span::styled(cells(GAUGE_CELLS - full, "░"), DIM),
        Span::raw(format!(" {:>3}/{:<4}", line.last_second, line.limit)),
        Span::styled(format!("peak {}", line.peak), DIM),
    ])
}

fn log_line(line: &LogLine) -> Line<'static> {
    let style = match line.level {
        Level::Info => Style::new(),
        Level::Warn => ODD,
        Level::Error => BAD,
    };
    Line::from(vec![
        Span::styled(format!("{} ", clock(line.at_ms)), DIM),
        Span::styled(line.text.clone(), style),
    ])
}

fn panel(area: Rect, buffer: &mut Buffer, title: &str, lines: Vec<Line<'static>>) {
    let block =
        Block::bordered().border_style(DIM).title(Span::styled(format!(" {title} "), STRONG));
    Paragraph::new(lines).block(block).render(area, buffer);
}

/// The first that fit; the last place says how many do not.
fn fit<T>(all: &[T], room: usize, draw: impl Fn(&T) -> Line<'static>) -> Vec<Line<'static>> {
    if all.len() <= room {
        return all.iter().map(draw).collect();
    }
    let shown = room.saturating_sub(1);
    let mut lines: Vec<Line<'static>> = all.iter().take(shown).map(draw).collect();
    lines.push(Line::styled(format!("and {} more", all.len() - shown), DIM));
    lines
}

fn inner(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(BORDERS))
}

fn lines(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

fn age(ms: u64) -> String {
    match ms / 1000 {
        0 => format!("{ms}ms"),
        seconds @ 1..=119 => format!("{seconds}s"),
        seconds => format!("{}min", seconds / 60),
    }
}
