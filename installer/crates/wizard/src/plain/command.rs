//! What a typed line asks for.

use crate::page::PageId;

/// A line as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Nothing was typed.
    Empty,
    Help,
    Next,
    Back,
    Skip,
    Save,
    Quit,
    /// The question before.
    Up,
    /// Take the answer back.
    Clear,
    /// Show the page.
    List,
    /// Every question, one after the other.
    All,
    /// Show all pages.
    Pages,
    Go(PageId),
    Run,
    Trust,
    Add,
    Edit(usize),
    /// A host, or the one that is looked at.
    Remove(Option<usize>),
    Paste,
    Import(String),
    /// A run of the table, by its number from 1.
    Watch(usize),
    Done,
    /// The log of the run: lines with this text, or only those about something that went wrong.
    Log {
        text: String,
        troubles: bool,
    },
    /// Show what can be mended by itself.
    Fix,
    /// Accept the risk of the finding that is looked at.
    Accept,
    /// Nobody accepts it any more.
    TakeBack,
    /// A question, or a host, by its number from 1.
    Number(usize),
    /// Anything else: an answer.
    Text(String),
}

/// Words of commands, English and Chinese, whatever language is spoken.
const WORDS: [(&str, &str, Command); 20] = [
    ("?", "？", Command::Help),
    ("help", "帮助", Command::Help),
    ("next", "下一页", Command::Next),
    ("back", "返回", Command::Back),
    ("skip", "跳过", Command::Skip),
    ("save", "保存", Command::Save),
    ("quit", "退出", Command::Quit),
    ("up", "上一题", Command::Up),
    ("list", "列表", Command::List),
    ("all", "全部", Command::All),
    ("pages", "页面", Command::Pages),
    ("run", "执行", Command::Run),
    ("test", "测试", Command::Run),
    ("trust", "信任", Command::Trust),
    ("add", "添加", Command::Add),
    ("paste", "粘贴", Command::Paste),
    ("done", "完成", Command::Done),
    ("fix", "修复", Command::Fix),
    ("accept", "接受", Command::Accept),
    ("withdraw", "撤回", Command::TakeBack),
];

impl Command {
    /// At a question, where a number is an answer, and where commands of pages are words like any other.
    pub(super) fn of_answer(line: &str) -> Self {
        let line = line.trim();
        if let Some(text) = line.strip_prefix('=') {
            return Self::Text(text.trim().to_owned());
        }
        match Self::of_page(line) {
            command @ (Self::Empty
            | Self::Help
            | Self::Next
            | Self::Back
            | Self::Skip
            | Self::Save
            | Self::Quit
            | Self::Up
            | Self::List
            | Self::Pages
            | Self::Go(_)
            | Self::Watch(_)) => command,
            _ if matches!(line, "-" | "－") => Self::Clear,
            _ => Self::Text(line.to_owned()),
        }
    }

    /// Where a page or the table of hosts waits.
    pub(super) fn of_page(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Empty;
        }
        let known = |word: &str| {
            let found = WORDS
                .iter()
                .find(|(english, chinese, _)| word.eq_ignore_ascii_case(english) || word == *chinese);
            found.map(|(_, _, command)| command.clone())
        };
        if let Some(command) = known(line) {
            return command;
        }
        if let Ok(number) = line.parse() {
            return Self::Number(number);
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let (rest, number) = (rest.trim(), rest.trim().parse::<usize>().ok());
        match (word.to_lowercase().as_str(), number) {
            ("go" | "前往", _) => PageId::named(&rest.to_lowercase()).map(Self::Go),
            ("edit" | "编辑", Some(number)) => Some(Self::Edit(number)),
            ("watch" | "观看", Some(number)) => Some(Self::Watch(number)),
            ("remove" | "删除", Some(number)) => Some(Self::Remove(Some(number))),
            ("remove" | "删除", None) if rest.is_empty() => Some(Self::Remove(None)),
            ("import" | "导入", _) if !rest.is_empty() => Some(Self::Import(rest.to_owned())),
            ("log" | "日志", _) => Some(Self::Log { text: rest.to_owned(), troubles: false }),
            ("troubles" | "异常", _) => Some(Self::Log { text: rest.to_owned(), troubles: true }),
            _ => None,
        }
        .unwrap_or_else(|| Self::Text(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_or_an_answer() {
        for (line, expected) in [
            ("", Command::Empty),
            (" Back ", Command::Back),
            ("返回", Command::Back),
            ("？", Command::Help),
            ("-", Command::Clear),
            ("go hosts", Command::Go(PageId::Hosts)),
            ("watch 2", Command::Watch(2)),
            ("go nowhere", Command::Text("go nowhere".to_owned())),
            ("5", Command::Text("5".to_owned())),
            ("= back", Command::Text("back".to_owned())),
            // A command of the page of hosts is an answer like any other.
            ("add", Command::Text("add".to_owned())),
            ("trust", Command::Text("trust".to_owned())),
            ("fix", Command::Text("fix".to_owned())),
            ("log", Command::Text("log".to_owned())),
        ] {
            assert_eq!(Command::of_answer(line), expected, "{line}");
        }
        for (line, expected) in [
            ("5", Command::Number(5)),
            ("edit 2", Command::Edit(2)),
            ("删除 2", Command::Remove(Some(2))),
            ("remove", Command::Remove(None)),
            ("import hosts.csv", Command::Import("hosts.csv".to_owned())),
            ("import", Command::Text("import".to_owned())),
            ("go 3", Command::Go(PageId::Sizing)),
            ("test", Command::Run),
            ("信任", Command::Trust),
            ("接受", Command::Accept),
            ("log", Command::Log { text: String::new(), troubles: false }),
            ("日志 w1: 失败", Command::Log { text: "w1: 失败".to_owned(), troubles: false }),
            ("troubles kubelet", Command::Log { text: "kubelet".to_owned(), troubles: true }),
            ("withdraw", Command::TakeBack),
        ] {
            assert_eq!(Command::of_page(line), expected, "{line}");
        }
    }
}
