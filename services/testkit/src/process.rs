//! What the system says of a process (proc(5)), signals to one, and how a child is started.

use std::{
    env, fs, io,
    path::Path,
    process::{Child, Command},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// The unit of times in proc(5): Linux shows them to programs in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// User and system time that a process has used, all its threads together; `None` when it has ended.
#[must_use]
pub fn cpu(pid: u32) -> Option<Duration> {
    // Fields 14 and 15; the second, a name in brackets, may hold spaces.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut times = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks = times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?;
    Some(TICK.saturating_mul(ticks))
}

/// Memory that a process has in the machine's own; `None` when it has ended.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib = line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?;
    Some(kib * 1024)
}

/// Takes this process's own settings (`TANDEM_…`) from what a child is given: they are not the product's.
pub fn without_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") {
            command.env_remove(name);
        }
    }
}

/// Runs another program as itself, with a signal for when its parent dies (util-linux).
const WITH_SIGNAL: &str = "setpriv";

/// A command of a server that dies with this process, also with one that is killed; where the system has no `setpriv`, such a
/// server stays. Start it with [`spawn`].
pub(crate) fn command(program: &Path) -> Command {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let paths = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&paths).any(|folder| folder.join(WITH_SIGNAL).is_file())
    });
    if !*FOUND {
        return Command::new(program);
    }
    let mut command = Command::new(WITH_SIGNAL);
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

type Order = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Starts a [`command`]. The system's parent of a child is the thread that started it, and threads of a runtime end when they have
/// nothing to do: one thread that lives as long as the process starts them all.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: LazyLock<mpsc::SyncSender<Order>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::sync_channel::<Order>(0);
        thread::spawn(move || {
            for (mut command, started) in orders {
                // Who ordered it waits for it.
                drop(started.send(command.spawn()));
            }
        });
        sender
    });
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let (started, answer) = mpsc::sync_channel(1);
    STARTER.send((command, started)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

pub(crate) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    kill_process(pid, signal).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time_and_a_missing_one_has_none() {
        let own = std::process::id();
        assert!(cpu(own).is_some());
        assert!(resident_bytes(own).is_some_and(|bytes| bytes > 100_000));
        assert_eq!((cpu(u32::MAX), resident_bytes(u32::MAX)), (None, None));
    }
}
