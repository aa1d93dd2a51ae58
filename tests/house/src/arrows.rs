//! The packages of a workspace and what depends on what, as cargo tells it.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

use crate::files::root;

/// A dependency of a package of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// Who depends.
    pub from: String,
    /// On whom.
    pub to: String,
    /// For its tests only.
    pub is_dev: bool,
    /// For its build script only.
    pub is_build: bool,
}

/// A workspace.
pub struct House {
    metadata: Metadata,
}

impl House {
    /// The workspace with this manifest, relative to the repository's root.
    ///
    /// # Panics
    /// Where cargo cannot read it.
    pub fn of(manifest: &str) -> Self {
        let metadata = MetadataCommand::new()
            .manifest_path(root().join(manifest))
            .features(CargoOpt::AllFeatures)
            .other_options(vec!["--locked".to_owned()])
            .exec()
            .unwrap_or_else(|error| panic!("cargo metadata of {manifest}: {error}"));
        Self { metadata }
    }

    /// The names of its packages.
    pub fn members(&self) -> BTreeSet<String> {
        self.metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect()
    }

    /// The manifests of its packages.
    pub fn manifests(&self) -> Vec<(String, String)> {
        let read = |path: &cargo_metadata::camino::Utf8PathBuf| {
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let packages = self.metadata.workspace_packages();
        packages.iter().map(|package| (package.name.to_string(), read(&package.manifest_path))).collect()
    }

    /// What its packages name as dependencies, ours and others'.
    pub fn arrows(&self) -> BTreeSet<Arrow> {
        let packages = self.metadata.workspace_packages();
        let named = packages.iter().flat_map(|package| {
            package.dependencies.iter().map(|dependency| Arrow {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                is_dev: dependency.kind == DependencyKind::Development,
                is_build: dependency.kind == DependencyKind::Build,
            })
        });
        named.collect()
    }

    /// All that is linked into a package: its normal dependencies, and theirs.
    ///
    /// # Panics
    /// Where the package is none of this workspace.
    pub fn linked_into(&self, name: &str) -> BTreeSet<String> {
        let resolve = self.metadata.resolve.as_ref().expect("cargo resolves the workspace");
        let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
        let names: BTreeMap<&PackageId, &str> =
            self.metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
        let packages = self.metadata.workspace_packages();
        let start = packages.iter().find(|package| package.name.as_str() == name);
        let start = &start.unwrap_or_else(|| panic!("there is no package {name}")).id;
        let mut linked = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(id) = waiting.pop() {
            for dependency in &nodes[id].deps {
                let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                if is_normal && linked.insert(names[&dependency.pkg].to_owned()) {
                    waiting.push(&dependency.pkg);
                }
            }
        }
        linked
    }
}
