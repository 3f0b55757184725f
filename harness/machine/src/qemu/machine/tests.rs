// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

fn machine() -> Machine {
    Machine {
        accelerator: Accelerator::Tcg,
        cpu_model: Machine::CPU_MODEL.to_owned(),
        cpus: 2,
        memory: Mebibytes(768),
        devices: vec![MemoryDevice::Nvdimm {
            size: Mebibytes(512),
            label: Mebibytes(2),
        }],
        boot: Boot {
            kernel: "/images/vm linux".into(),
            initramfs: "/images/initramfs".into(),
            command_line: "console=ttyS0 panic=-1".to_owned(),
        },
        ports: vec![
            PortName::new("taster.agent").unwrap(),
            PortName::new("taster.ssh").unwrap(),
        ],
    }
}

fn descriptors() -> Descriptors {
    Descriptors {
        qmp: 10,
        console: 11,
        ports: vec![12, 13],
        ram: (14, Sharing::Shared),
        devices: vec![(15, Sharing::Private)],
    }
}

fn lines(arguments: &[OsString]) -> String {
    let mut text = String::new();
    for argument in arguments {
        let argument = argument.to_str().unwrap();
        text.push_str(if argument.starts_with('-') { "\n" } else { " " });
        text.push_str(argument);
    }
    text
}

#[test]
fn the_whole_argument_list() {
    let expected = "
-machine q35,nvdimm=on,memory-backend=ram0
-accel tcg,thread=multi
-cpu Skylake-Server,vendor=GenuineIntel
-smp 2
-m 768M,slots=4,maxmem=4096M
-nodefaults
-no-user-config
-no-reboot
-display none
-object memory-backend-file,id=ram0,share=on,mem-path=/proc/self/fd/14,size=768M
-object memory-backend-file,id=nv0,share=off,mem-path=/proc/self/fd/15,size=514M
-device nvdimm,id=nvd0,memdev=nv0,label-size=2M
-chardev socket,id=qmp,fd=10
-mon chardev=qmp,mode=control
-chardev socket,id=console,fd=11
-serial chardev:console
-device virtio-serial-pci,id=vs0
-chardev socket,id=port0,fd=12
-device virtserialport,bus=vs0.0,chardev=port0,name=taster.agent
-chardev socket,id=port1,fd=13
-device virtserialport,bus=vs0.0,chardev=port1,name=taster.ssh
-kernel /images/vm linux
-initrd /images/initramfs
-append console=ttyS0 panic=-1";
    assert_eq!(lines(&machine().arguments(&descriptors())), expected);
}

#[test]
fn a_bare_machine_under_kvm() {
    let bare = Machine {
        accelerator: Accelerator::Kvm,
        devices: vec![MemoryDevice::Nvdimm {
            size: Mebibytes(64),
            label: Mebibytes(0),
        }],
        ports: Vec::new(),
        ..machine()
    };
    let text = lines(&bare.arguments(&Descriptors {
        ports: Vec::new(),
        ..descriptors()
    }));
    assert!(text.contains("\n-accel kvm\n"), "{text}");
    assert!(
        !text.contains("virtio-serial") && !text.contains("label-size"),
        "{text}"
    );
}

#[test]
fn a_clone_waits_and_opens_its_memory_for_reading_only() {
    let fds = Descriptors {
        ram: (14, Sharing::Sealed),
        ..descriptors()
    };
    let text = lines(&machine().arguments(&fds));
    let ram = "id=ram0,share=off,readonly=on,rom=off,mem-path=/proc/self/fd/14,size=768M";
    assert!(text.contains(ram), "{text}");
    assert_eq!(Start::Restore.arguments(), ["-incoming", "defer"]);
    assert!(Start::Boot.arguments().is_empty());
}

#[test]
fn address_space_grows_with_the_nvdimms() {
    let big = Machine {
        devices: vec![
            MemoryDevice::Nvdimm {
                size: Mebibytes(4096),
                label: Mebibytes(2)
            };
            5
        ],
        ..machine()
    };
    let fds = Descriptors {
        devices: vec![(15, Sharing::Shared); 5],
        ..descriptors()
    };
    let text = lines(&big.arguments(&fds));
    assert!(text.contains("-m 768M,slots=5,maxmem=21504M"), "{text}");
}

#[test]
fn impossible_machines_are_refused() {
    assert_eq!(machine().check(), Ok(()));
    let no_cpu = Machine { cpus: 0, ..machine() };
    assert!(matches!(no_cpu.check(), Err(MachineError::Empty { cpus: 0, .. })));
    let odd = Machine {
        devices: vec![MemoryDevice::Nvdimm {
            size: Mebibytes(510),
            label: Mebibytes(2),
        }],
        ..machine()
    };
    assert_eq!(
        odd.check(),
        Err(MachineError::Misaligned {
            kind: MemoryKind::Nvdimm,
            align: Mebibytes(16),
            index: 0,
            size: Mebibytes(510)
        })
    );
    let port = PortName::new("a").unwrap();
    let twice = Machine {
        ports: vec![port.clone(), port.clone()],
        ..machine()
    };
    assert_eq!(twice.check(), Err(MachineError::DuplicatePort(port)));
}

#[test]
fn port_names_cannot_smuggle_options() {
    for bad in ["", "a,chardev=x", "a b", "../x", "A", ".a", &"a".repeat(32)] {
        assert_eq!(PortName::new(bad), Err(MachineError::PortName(bad.to_owned())));
    }
}
