// SPDX-License-Identifier: MIT OR Apache-2.0
//! Case files about a DAX device that cannot be, and what is said of each: `line:column what => way out`.

mod common;

use common::{in_file, in_steps};

/// The mistakes in these steps of a case with a DAX device; the first is on line 5.
#[track_caller]
fn in_steps_on_devdax(template: &str, steps: &str, expected: &[&str]) {
    in_file(
        &format!("summary: s\nwhy: w\ntemplate: {template}\nsteps:{steps}"),
        expected,
    );
}

#[test]
fn mappings_of_the_device_are_shared_and_of_whole_pages() {
    in_steps_on_devdax(
        "devdax",
        "
  - victim: { name: alice, maps: { device: dax, offset: 4KiB, length: 3MiB }, touches: 0 }
  - victim: { name: bob, maps: { device: dax, length: 2MiB, mapping: private }, touches: 2MiB }
  - victim: { name: carol, maps: [{ device: dax }, { device: dax, length: 0 }], mapping: private }
  - victim: { name: dave, maps: { device: dax }, touches: 0, page: 4KiB }
  - expect: { alive: [dave] }
",
        &[
            "5:57 the DAX device is mapped by whole pages of 2MiB, not by 4KiB => choose a multiple of 2MiB; what is touched, and what is hit, may be any byte in it",
            "5:71 the DAX device is mapped by whole pages of 2MiB, not by 3MiB => choose a multiple of 2MiB; what is touched, and what is hit, may be any byte in it",
            "6:70 the DAX device cannot be mapped privately => write `mapping: shared`, or `sync`",
            "6:90 offset 2MiB is beyond the end of `bob`'s mapping of the DAX device => choose an offset below 2MiB",
            "7:75 a range of no bytes shows nothing => give it at least one byte",
            "7:90 the DAX device cannot be mapped privately => write `mapping: shared`, or `sync`",
            "8:68 the DAX device is never mapped by pages of 4KiB => write `page: 2MiB`, or `template: { devdax: { align: 4KiB } }`",
        ],
    );
}

#[test]
fn no_page_cache_lies_over_the_device() {
    in_steps_on_devdax(
        "devdax",
        "
  - victim: { name: alice, maps: { device: dax, dax: false }, touches: 0 }
  - expect: { alive: [alice] }
",
        &["5:49 `dax` means nothing beside `device` => take `dax` away"],
    );
}

#[test]
fn what_is_right_on_small_pages() {
    in_steps_on_devdax(
        "{ devdax: { align: 4KiB } }",
        "
  - victim: { name: alice, maps: { device: dax, offset: 4KiB, length: 12KiB, mapping: sync }, touches: 0, page: 4KiB }
  - inject: { debugfs: corrupt-pfn, at: { device: 8KiB } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 4KiB } }, filesystem: unmounted, badblocks: [] }
",
        &[],
    );
}

#[test]
fn a_character_device_holds_no_filesystem() {
    let none = |place: &str| {
        format!(
            "{place} there is no filesystem, and no block device that could hold one => take `template: xfs`; of this device a victim \
             maps `{{ device: dax }}`, and an injection hits `at: {{ device: 2MiB }}`"
        )
    };
    let mut expected: Vec<String> = ["5:5", "6:5", "7:5", "8:5", "9:5", "10:5"].map(none).into();
    expected.push(
        "11:22 the DAX device keeps no list of bad blocks that could be written => write `machine-check: action-optional`, by \
         which they are recorded for its region"
            .to_owned(),
    );
    expected.push(none("12:15"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    in_steps_on_devdax(
        "devdax",
        "
  - mount: {}
  - write: { file: a, size: 2MiB, fill: 1 }
  - victim: { name: alice, maps: a }
  - repair: {}
  - unmount: {}
  - inject: { debugfs: corrupt-pfn, at: { metadata: log } }
  - inject: { sysfs: badblocks, at: { device: 0 } }
  - expect: { filesystem: up }
",
        &expected,
    );
}

#[test]
fn other_templates_have_no_device() {
    in_steps(
        "
  - victim: { name: alice, maps: { device: dax, offset: 1 }, touches: 0 }
  - expect: { alive: [alice] }
",
        &["5:44 the template has no DAX device => take `template: devdax`, or map a file"],
    );
}

#[test]
fn what_is_mapped_is_one_thing() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 1 }
  - victim: { name: bob, maps: { device: pmem }, touches: 0 }
  - victim: { name: carol, maps: { device: dax, file: a }, touches: 0 }
  - victim: { name: dave, maps: [a, { offset: 4KiB }], touches: 0 }
  - expect: { alive: [bob] }
",
        &[
            "6:42 unknown word `pmem` => the only word is `dax`",
            "7:36 `file` and `device` exclude each other => write `{ file: a }`, or `{ device: dax }` for the device of the template `devdax`",
            "8:37 what is mapped is missing => write `{ file: a }`, or `{ device: dax }` for the device of the template `devdax`",
        ],
    );
}

#[test]
fn its_pages_have_one_of_two_sizes() {
    in_steps_on_devdax(
        "{ devdax: { align: 1GiB } }",
        "\n  - expect: { badblocks: [] }\n",
        &["3:30 unknown word `1GiB` => choose one of `4KiB`, `2MiB`"],
    );
}
