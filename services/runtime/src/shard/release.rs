//! Letting the partition go in good order: stop reading, commit, save, checkpoint, release (design.md 4.3).

use super::{Action, Now, Phase, Shard};

impl Shard {
    pub(super) fn on_release(&mut self, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Serving) {
            self.phase = Phase::Releasing { checkpointed: false };
            out.push(Action::CloseDoor);
        }
    }

    pub(super) fn release_on(&mut self, now: Now, out: &mut Vec<Action>) {
        let Phase::Releasing { checkpointed } = self.phase else { return };
        let is_quiet = self.pending.is_empty()
            && self.staged.is_empty()
            && self.commit.is_idle()
            && self.commit.held.is_empty()
            && !self.checkpoints.is_active();
        if !is_quiet {
            return;
        }
        if checkpointed || !self.has_news() {
            return self.append_released(out);
        }
        // Once: where a part cannot be saved, the next owner replays from the checkpoint before.
        self.phase = Phase::Releasing { checkpointed: true };
        self.begin_checkpoint(now, out);
        self.checkpoint_on(now, out);
        self.save_next(out);
        self.release_on(now, out);
    }
}
