//! Flow: when is a partition's window full, and when is there room again?
//!
//! Two marks instead of one, so that a partition does not flap: full at the limit, free again at half.
//! The limit is soft by one batch: what was fetched already is taken.

/// What is delivered and not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Records of this partition.
    pub records: usize,
    /// Bytes of this partition.
    pub bytes: usize,
    /// Bytes of all partitions that share the budget.
    pub shared_bytes: usize,
}

/// The limits of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Records a partition.
    pub records: usize,
    /// Bytes, shared by the partitions of a pipeline in this process.
    pub bytes: usize,
}

/// One partition's gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    full: bool,
}

impl Gate {
    /// Judges the load; true: full, deliver no more until this says false.
    ///
    /// A partition that holds nothing always has room, whatever the others hold: else one stuck
    /// partition could starve all of them.
    pub fn judge(&mut self, load: Load, window: Window) -> bool {
        self.full = if load.records == 0 {
            false
        } else if self.full {
            load.records > window.records / 2 || load.shared_bytes > window.bytes / 2
        } else {
            load.records >= window.records || load.shared_bytes >= window.bytes
        };
        self.full
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window { records: 100, bytes: 1000 };

    fn load(records: usize, shared_bytes: usize) -> Load {
        Load { records, bytes: shared_bytes, shared_bytes }
    }

    #[test]
    fn between_the_marks_the_gate_stays_as_it_is() {
        let mut gate = Gate::default();
        assert!(!gate.judge(load(99, 0), WINDOW));
        assert!(gate.judge(load(100, 0), WINDOW));
        assert!(gate.judge(load(51, 0), WINDOW));
        assert!(!gate.judge(load(50, 0), WINDOW));
        assert!(!gate.judge(load(99, 0), WINDOW));
    }

    #[test]
    fn bytes_close_the_gate_as_records_do() {
        let mut gate = Gate::default();
        assert!(gate.judge(load(1, 1000), WINDOW));
        assert!(gate.judge(load(1, 501), WINDOW));
        assert!(!gate.judge(load(1, 500), WINDOW));
    }

    proptest! {
        #[test]
        fn a_partition_that_holds_nothing_has_room(shared in 0_usize..5000, before in any::<bool>()) {
            let mut gate = Gate { full: before };
            prop_assert!(!gate.judge(load(0, shared), WINDOW));
        }
    }
}
