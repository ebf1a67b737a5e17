//! What a process runs: everything, or one part of a cluster.

/// The part that a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything in one process.
    Up,
    /// Webhooks in.
    Gateway,
    /// Entities, doors, executors.
    Router,
    /// gRPC: agents and programs.
    Desk,
    /// Read model, segments, trimming.
    Archive,
}

impl Role {
    /// Its name: the command that starts it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Gateway => "gateway",
            Self::Router => "router",
            Self::Desk => "desk",
            Self::Archive => "archive",
        }
    }

    /// Takes webhooks.
    pub(crate) fn takes_webhooks(self) -> bool {
        matches!(self, Self::Up | Self::Gateway)
    }

    /// Serves partitions.
    pub(crate) fn decides(self) -> bool {
        matches!(self, Self::Up | Self::Router)
    }

    /// Serves gRPC.
    pub(crate) fn serves_desks(self) -> bool {
        matches!(self, Self::Up | Self::Desk)
    }

    /// Projects the read model and writes segments, where it is its turn.
    pub(crate) fn archives(self) -> bool {
        matches!(self, Self::Archive)
    }

    /// Reads the read model.
    pub(crate) fn reads(self) -> bool {
        matches!(self, Self::Up | Self::Desk)
    }
}
