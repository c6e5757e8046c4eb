//! What a figure depends on beside the product: the machine and what runs on it.

use std::fs;

/// Processor, cores, memory and kernel of this machine, one line each.
pub fn lines() -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        format!("machine      {}, {cores} cores, {} memory", model(&cpu), total(&memory)),
        format!("kernel       Linux {}", kernel.trim()),
        format!("load before  {}", load.split_whitespace().next().unwrap_or("unknown")),
    ]
}

fn model(cpu: &str) -> &str {
    let line = cpu.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unknown processor", |(_, name)| name.trim())
}

fn total(memory: &str) -> String {
    let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.map_or_else(|| "unknown".to_owned(), |size| format!("{:.1} GiB", size / 1024.0 / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_and_memory_are_read() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Fast Chip\n"), "Fast Chip");
        assert_eq!(model(""), "unknown processor");
        assert_eq!(total("MemTotal:       2097152 kB\n"), "2.0 GiB");
        assert_eq!(lines().len(), 3);
    }
}
