//! The databases of each master: their folders, and all of that of events.

use sealift_render::events;

use super::cluster::{CONTROL_PLANE_SECONDS, wait};
use super::hosts::private_file;
use super::{Gate, Graph, Host, Operation, PlanError, Ready, ServiceSpec, directory, file};
use crate::operation::EventsMemberSpec;

impl Graph<'_> {
    /// Where the data will stand.
    pub(super) fn databases(&mut self, host: &Host) {
        let etcd = &self.input.site.etcd;
        let mut add = |name: &str, title: &str, pod: &str, folder: &str| {
            let prepare =
                Operation::PrepareDatabase { pod: pod.to_owned(), directory: directory(folder, 0o700) };
            self.add(host, name, title.to_owned(), &["claim"], prepare);
        };
        add("etcd-folder", "folder of the cluster's database", "etcd", &etcd.folder);
        if let Some(own) = &etcd.events {
            add("events-folder", "folder of the database of events", events::POD, &own.folder);
        }
    }

    /// The member of a master, in steps that wait for `ready`: what its pod needs to be started. Gives the name of the step
    /// after which an API server may ask it; nothing where events have no database of their own.
    ///
    /// Members come one at a time, as those of the cluster's own database do, and before the API server that asks them.
    pub(super) fn events_member(
        &mut self,
        host: &Host,
        (pki, ready): (&str, &[&str]),
    ) -> Result<Option<&'static str>, PlanError> {
        let site = self.input.site;
        let Some(content) = Self::rendered(host, events::manifest(site, self.input.document, host))? else {
            return Ok(None);
        };
        let names = events::certificate_names(host);
        let first = self.first.name.clone();
        if host.name == first {
            let title = "make the authority of the database of events".to_owned();
            self.add(host, "events-pki", title, &[pki], Operation::EnsureEventsPki { names });
        } else {
            let made = format!("{first}.events-pki");
            let title = "copy the authority of the database of events".to_owned();
            let install = Operation::InstallEventsPki { from: first, names };
            self.add(host, "events-pki", title, &[pki, &made], install);
        }
        let before: Vec<&Host> = events::before(site, host).collect();
        let member = EventsMemberSpec {
            name: host.name.clone(),
            peer_url: events::peer_url(host.address),
            ask: before.iter().map(|other| events::client_url(other.address)).collect(),
            manifest: private_file(events::MANIFEST_PATH, content),
        };
        let previous = before.last().map(|other| format!("{}.events-voter", other.name));
        let mut needs = vec!["events-pki", "events-folder"];
        needs.extend(ready);
        needs.extend(previous.as_deref());
        let title = "member of the database of events".to_owned();
        self.add(host, "events-member", title, &needs, Operation::JoinEvents { member });
        Ok(Some("events-member"))
    }

    /// The gate behind a master's member, and then its snapshots. `started` is the step after which its pod runs.
    pub(super) fn events_voters(&mut self, host: &Host, started: &str) -> Result<(), PlanError> {
        let mut members: Vec<String> =
            events::before(self.input.site, host).map(|other| other.name.clone()).collect();
        members.push(host.name.clone());
        let title = format!("{} healthy voters for events", members.len());
        let gate = wait(Gate::EventsVoters { members }, CONTROL_PLANE_SECONDS);
        self.add(host, "events-voter", title, &[started], gate);
        self.events_backup(host)
    }

    /// Snapshots of a master's member. Where the profile wants none, those of an earlier profile end.
    fn events_backup(&mut self, host: &Host) -> Result<(), PlanError> {
        let units = Self::rendered(host, events::backup_units(self.input.site, host))?;
        let wanted = units.is_some();
        let folder = self.input.site.etcd.backup_folder();
        let service = ServiceSpec {
            unit: events::BACKUP_TIMER.to_owned(),
            files: units
                .into_iter()
                .flat_map(|units| events::BACKUP_UNITS.into_iter().zip(units))
                .map(|(path, content)| file(path, content))
                .collect(),
            directories: folder.iter().map(|folder| directory(folder, 0o700)).collect(),
            enabled: wanted,
            running: wanted,
            ready: Ready::Active,
        };
        let title = if wanted { "snapshots of the database of events" } else { "no snapshots of events" };
        let needs = ["agent", "events-voter"];
        self.add(host, "events-backup", title.to_owned(), &needs, Operation::Service { service });
        Ok(())
    }
}
