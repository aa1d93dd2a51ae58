//! The weather of a simulation: which kinds of things go wrong in it. A seed has some of them, so that each is met alone and in
//! company; whoever shortens a story takes them away one by one.

use crate::luck::Luck;

/// A kind of thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The host is killed.
    Kill,
    /// The power is cut: what was not synced may be lost, and all runs are.
    Power,
    /// The disk is full for a while.
    FullDisk,
    /// The disk fails.
    BrokenDisk,
    /// The forge and the tracker answer badly, late or not at all.
    Outside,
    /// What a dead host sent lands after its death.
    LateLanding,
    /// Runs end badly, or their shims are killed.
    Runs,
    /// Plugins fail, and say other things than yes.
    Plugins,
    /// The host's clock jumps.
    Clock,
    /// A host goes on for a while after another took over.
    Overlap,
    /// People decide, stop, pause and move cards at any time.
    People,
    /// People who may not decide do so all the same.
    Strangers,
    /// People push, delete branches and merge by hand.
    Pushes,
    /// The pipeline is edited.
    Edits,
    /// Deliveries come twice and late.
    Deliveries,
    /// Something happens while the host waits for an answer.
    Interludes,
    /// Deciding panics.
    Panics,
    /// Deliveries do not come at all.
    Lost,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Kill,
        Self::Power,
        Self::FullDisk,
        Self::BrokenDisk,
        Self::Outside,
        Self::LateLanding,
        Self::Runs,
        Self::Plugins,
        Self::Clock,
        Self::Overlap,
        Self::People,
        Self::Strangers,
        Self::Pushes,
        Self::Edits,
        Self::Deliveries,
        Self::Interludes,
        Self::Panics,
        Self::Lost,
    ];

    /// As the command line spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Power => "power",
            Self::FullDisk => "full-disk",
            Self::BrokenDisk => "broken-disk",
            Self::Outside => "outside",
            Self::LateLanding => "late-landing",
            Self::Runs => "runs",
            Self::Plugins => "plugins",
            Self::Clock => "clock",
            Self::Overlap => "overlap",
            Self::People => "people",
            Self::Strangers => "strangers",
            Self::Pushes => "pushes",
            Self::Edits => "edits",
            Self::Deliveries => "deliveries",
            Self::Interludes => "interludes",
            Self::Panics => "panics",
            Self::Lost => "lost",
        }
    }
}

/// Which kinds there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather(u32);

impl Weather {
    /// Everything.
    pub fn all() -> Self {
        Trouble::ALL.into_iter().fold(Self(0), Self::with)
    }

    /// Nothing goes wrong.
    pub const fn calm() -> Self {
        Self(0)
    }

    /// A seed's: few kinds, some, or nearly all.
    pub fn of(luck: &mut Luck) -> Self {
        let often = *luck.one_of(&[250, 500, 850]);
        let met = Trouble::ALL.into_iter().filter(|_| luck.in_thousand(often));
        met.fold(Self(0), Self::with)
    }

    /// As a number.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Of such a number.
    pub const fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Of names with commas between them; `nothing` is calm.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = text.split(',').filter(|name| !name.is_empty() && *name != "nothing");
        names.into_iter().try_fold(Self(0), |weather, name| {
            let known = Trouble::ALL.into_iter().find(|trouble| trouble.as_str() == name);
            let names = || Trouble::ALL.map(Trouble::as_str).join(", ");
            known
                .map(|trouble| weather.with(trouble))
                .ok_or_else(|| format!("`{name}` is no trouble; there are: {}", names()))
        })
    }

    /// And this kind.
    pub const fn with(self, trouble: Trouble) -> Self {
        Self(self.0 | 1 << trouble as u32)
    }

    /// But not this kind.
    pub const fn without(self, trouble: Trouble) -> Self {
        Self(self.0 & !(1 << trouble as u32))
    }

    /// Is this kind met?
    pub const fn has(self, trouble: Trouble) -> bool {
        self.0 & 1 << trouble as u32 != 0
    }

    /// The kinds that are met.
    pub fn kinds(self) -> impl Iterator<Item = Trouble> {
        Trouble::ALL.into_iter().filter(move |trouble| self.has(*trouble))
    }
}
