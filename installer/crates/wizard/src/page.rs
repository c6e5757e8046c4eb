//! The pages and their order.

/// A page of the wizard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageId {
    /// Language, files, name of the site.
    Start,
    /// How much work there will be.
    Needs,
    /// How many machines that takes.
    Sizing,
    /// The machines.
    Hosts,
    /// How they are reached.
    Access,
    /// Networks and endpoint of the cluster.
    Network,
    /// Registry, certificates, services that the site runs itself.
    Storage,
    /// The product's own questions.
    Product,
    /// What the checks find on the hosts.
    Checks,
    /// All answers and what is open, the plan.
    Review,
    /// Where the profile is, the commands that come next elsewhere, and the question whether to install now.
    Confirm,
    /// A run while it goes on, or as it stopped.
    Install,
    /// What stands after a run that ended well.
    Result,
}

impl PageId {
    /// All, in their order.
    pub const ALL: [Self; 13] = [
        Self::Start,
        Self::Needs,
        Self::Sizing,
        Self::Hosts,
        Self::Access,
        Self::Network,
        Self::Storage,
        Self::Product,
        Self::Checks,
        Self::Review,
        Self::Confirm,
        Self::Install,
        Self::Result,
    ];

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|page| *page == self).unwrap_or_default() + 1
    }

    /// The page behind it.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self.number()).copied()
    }

    /// Whether only a run leads there.
    #[must_use]
    pub fn is_of_run(self) -> bool {
        matches!(self, Self::Install | Self::Result)
    }

    /// Its name in commands and tables of words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Needs => "needs",
            Self::Sizing => "sizing",
            Self::Hosts => "hosts",
            Self::Access => "access",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Product => "product",
            Self::Checks => "checks",
            Self::Review => "review",
            Self::Confirm => "confirm",
            Self::Install => "install",
            Self::Result => "result",
        }
    }

    /// The page of this name or number.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let number = text.parse::<usize>().ok();
        Self::ALL.into_iter().find(|page| page.name() == text || number == Some(page.number()))
    }

    /// Sections of the profile that this page closes: it is the last to ask for something in them.
    pub(crate) fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Start => &["metadata", "environment"],
            Self::Needs => &["needs"],
            Self::Sizing => &["sizing"],
            Self::Hosts => &["hosts"],
            Self::Access => &["access"],
            Self::Storage => &["cluster", "customerCa", "services"],
            Self::Product => &["product"],
            // What no page asks for is looked at as a whole.
            Self::Checks => &["acceptedRisks"],
            Self::Review => &["api", "nodes", "replicas"],
            Self::Network | Self::Confirm | Self::Install | Self::Result => &[],
        }
    }

    /// The page where a section of the profile is asked for.
    pub(crate) fn of_section(section: &str) -> Self {
        match section {
            "metadata" | "environment" => Self::Start,
            "needs" => Self::Needs,
            "sizing" => Self::Sizing,
            "hosts" => Self::Hosts,
            "access" | "unseal" => Self::Access,
            "cluster" => Self::Network,
            "customerCa" | "services" => Self::Storage,
            "product" => Self::Product,
            "acceptedRisks" => Self::Checks,
            _ => Self::Review,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_known_by_name_and_number() {
        for (index, page) in PageId::ALL.into_iter().enumerate() {
            assert_eq!(PageId::named(page.name()), Some(page));
            assert_eq!(PageId::named(&(index + 1).to_string()), Some(page));
            assert_eq!(page.next(), PageId::ALL.get(index + 1).copied());
        }
        assert_eq!(PageId::named("0"), None);
    }
}
