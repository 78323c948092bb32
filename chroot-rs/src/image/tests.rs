use super::*;

fn image(config: &str) -> Image {
    Image::parse(format!(r#"{{"config":{config}}}"#).as_bytes()).unwrap()
}

fn argv(image: &Image, entrypoint: Option<&str>, command: &[&str]) -> Result<String, String> {
    let command = command.iter().map(OsString::from).collect();
    let argv = image.command(entrypoint.map(OsStr::new), command).map_err(|failure| failure.message)?;
    Ok(argv.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_command_takes_the_place_of_cmd_and_an_entrypoint_that_of_both() {
    let both = image(r#"{"Entrypoint":["/e","-x"],"Cmd":["c"]}"#);
    for (entrypoint, command, run) in [
        (None, &[][..], "/e -x c"),
        (None, &["a", "b"], "/e -x a b"),
        (Some("/f"), &[], "/f"),
        (Some("/f"), &["a"], "/f a"),
        (Some(""), &["a"], "a"),
    ] {
        assert_eq!(argv(&both, entrypoint, command).as_deref(), Ok(run));
    }
    assert!(argv(&both, Some(""), &[]).is_err());
    assert_eq!(argv(&image(r#"{"Cmd":["c"],"Entrypoint":null}"#), None, &[]).as_deref(), Ok("c"));
}

#[test]
fn an_image_without_a_command_needs_one() {
    for config in ["{}", "null", r#"{"Cmd":[]}"#, r#"{"Cmd":[""]}"#] {
        assert_eq!(
            argv(&image(config), None, &[]),
            Err("the image has no command, and none was given".to_string()),
            "{config}"
        );
    }
    assert_eq!(argv(&image("null"), None, &["sh"]).as_deref(), Ok("sh"));
    assert_eq!(argv(&image(r#"{"Cmd":"one word"}"#), None, &[]).as_deref(), Ok("one word"));
}

#[test]
fn a_user_is_read_as_docker_reads_it() {
    let accounts = AccountFiles::new(
        b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n".to_vec(),
        b"staff:x:50:app\n".to_vec(),
    );
    for (user, userspec, groups) in [
        ("", "0", None),
        ("app", "app", None),
        ("1000", "1000", None),
        // without an account it is of group 0
        ("4242", "4242:0", Some("0")),
        ("4242:50", "4242:50", Some("50")),
        ("app:staff", "app:staff", Some("staff")),
        (":staff", "0:staff", Some("staff")),
        ("nobody-here", "nobody-here", None),
    ] {
        let read = ImageUser::read(user, &accounts);
        assert_eq!(read.userspec, userspec, "{user}");
        assert_eq!(read.groups.as_deref(), groups.map(OsStr::new), "{user}");
    }
}

#[test]
fn of_a_variable_that_is_named_twice_the_later_counts() {
    let odd = image(r#"{"Env":["A=1","B=x=y","A=2","C=","D","=e","HOME=/h"]}"#);
    let mut notes = Vec::new();
    let environment = odd.environment(OsStr::new("/root"), &mut notes);
    let has = |name: &str| environment.value(name).map(|value| value.to_string_lossy().into_owned());
    assert_eq!(has("A").as_deref(), Some("2"));
    assert_eq!(has("B").as_deref(), Some("x=y"));
    assert_eq!(has("C").as_deref(), Some(""));
    assert_eq!(has("HOME").as_deref(), Some("/h"));
    assert!(has("HOSTNAME").is_some());
    assert_eq!(has("PATH").as_deref(), Some(USUAL_PATH));
    assert_eq!(has("D"), None);
    assert_eq!(notes, ["skipped in the image's Env: \"D\"", "skipped in the image's Env: \"=e\""]);
}

#[test]
fn a_working_directory_is_absolute() {
    assert_eq!(image(r#"{"WorkingDir":"srv"}"#).workdir(), Some("/srv".into()));
    assert_eq!(image(r#"{"WorkingDir":""}"#).workdir(), None);
}

#[test]
fn what_changes_nothing_here_is_told() {
    assert_eq!(image(r#"{"StopSignal":"TERM; reboot"}"#).notes, [""; 0]);
    let told = image(r#"{"StopSignal":"SIGQUIT","ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}}}"#).notes;
    assert_eq!(
        told,
        [
            "the image expects SIGQUIT to stop: kill -s SIGQUIT, timeout -s SIGQUIT",
            "the image listens on 80/tcp",
            "the image keeps its data in /data: --bind or --tmpfs",
        ]
    );
}

#[test]
fn another_form_is_refused() {
    for (text, why) in [
        ("", "it is not JSON: "),
        ("[]", "it is not an object"),
        (r#"{"config":1}"#, "its \"config\" is not an object"),
        (r#"{"config":{"Cmd":1}}"#, "its Cmd is not a list of strings"),
        (r#"{"config":{"Env":["A=b",1]}}"#, "its Env is not a list of strings"),
        (r#"{"config":{"User":1000}}"#, "its User is not a string"),
    ] {
        let said = Image::parse(text.as_bytes()).unwrap_err();
        assert!(said.starts_with(why), "{text}: {said}");
    }
}
