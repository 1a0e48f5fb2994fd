//! wepay's configuration elsewhere: `tongbao import wepay`, and the Kubernetes manifest that takes
//! its ConfigMap as it is.

use super::wepay_shop::{order, write_certificate};
use crate::provider::ProviderSandbox;
use crate::world::{BINARY, eventually, free_address, fresh_folder};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use yaml_rust2::{Yaml, YamlLoader};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn import(folder: &Path, config: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("config.json"), config).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["import", "wepay", "config.json"]).args(more).current_dir(folder);
    command.output().unwrap()
}

/// Two merchants, one of them a service provider with a certificate.
fn two_merchants(passphrase: &Value) -> String {
    let first = json!({
        "env": "WXAPP", "type": "普通商户", "appId": "wx0123456789abcdef", "mchId": "1900000001",
        "notifyUrl": "http://m.example.com/apis/v1/wepay/pay_notify", "partnerKey": KEY,
        "_payUrl": "http://m.example.com/eshop", "cbNotifyUrl": "http://sharks-api/pay_notify",
    });
    let mut second = first.clone();
    second["env"] = json!("H5");
    second["type"] = json!("服务商");
    second["sub_mch_id"] = json!("1900000109");
    second["pfx"] = json!("apiclient_cert.p12");
    second["passphrase"] = passphrase.clone();
    json!([first, second]).to_string()
}

#[tokio::test]
async fn import_prints_a_configuration_without_secrets_that_serve_takes() {
    let folder = fresh_folder("import-wepay");
    let sandbox = ProviderSandbox::plain(&folder.join("sandbox")).await;
    let merchant = sandbox.get("/_sandbox/credentials").await["wechat"].clone();
    write_certificate(&folder, &merchant);
    let config = two_merchants(&merchant["p12_passphrase"]);
    let output = import(&folder, &config, &["--out", "keys"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    assert!(error.contains("keys, readable by you alone"), "{error}");
    assert!(error.contains("wepay_1900000001_wxapp has no pfx"), "{error}");
    assert!(!error.contains("wepay_1900000001_h5"), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(KEY), "{text}");
    for part in [
        "api_key_file = \"keys/wepay_1900000001_wxapp_api_key.txt\"",
        "p12_file = \"keys/wepay_1900000001_h5.p12\"",
        "sub_mch_id = \"1900000109\"",
        "notify_url = \"http://m.example.com/apis/v1/wepay/pay_notify\"",
        "[[compat.merchants]]\nenv = \"WXAPP\"\naccount = \"wepay_1900000001_wxapp\"\n\
         cb_notify_url = \"http://sharks-api/pay_notify\"",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.join("keys")), 0o700);
    for entry in std::fs::read_dir(folder.join("keys")).unwrap() {
        assert_eq!(mode(entry.unwrap().path()), 0o600);
    }
    let kept = folder.join("keys/wepay_1900000001_wxapp_api_key.txt");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), KEY);

    // The same again is taken; other keys under the same name are not written over.
    std::fs::write(folder.join("tongbao.toml"), &text).unwrap();
    assert!(import(&folder, &config, &["--out", "keys"]).status.success());
    let other = config.replace(KEY, &KEY.replace('0', "1"));
    let output = import(&folder, &other, &["--out", "keys"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there already with other contents"));
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), KEY);

    let mut serving = Command::new(BINARY);
    let address = free_address();
    serving.arg("serve").args(["--set", &format!("server.listen={address}")]);
    let serving = serving.current_dir(&folder).stderr(Stdio::null()).spawn().unwrap();
    let serving = Serving { base: format!("http://{address}"), child: serving };
    serving.is_ready().await;
    drop(serving);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn import_of_the_documents_javascript_says_what_to_write() {
    let folder = fresh_folder("import-javascript");
    let example = "{\n  env: 'H5',\n  pfx: fs.readFileSync(__dirname + '/apiclient_cert.p12'),\n}";
    let output = import(&folder, example, &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["config.json: line 2", "pfx is the name of the file alone", "double quotes"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!folder.join("secrets").exists(), "nothing was written");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A process that is ended with the test.
struct Serving {
    base: String,
    child: Child,
}

impl Serving {
    async fn is_ready(&self) {
        for path in ["/healthz", "/readyz"] {
            let url = format!("{}{path}", self.base);
            eventually(path, async || {
                let answer = reqwest::get(&url).await.ok()?;
                (answer.status() == 200).then_some(())
            })
            .await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The objects of the manifest, by their kind.
fn manifest(kind: &str) -> Yaml {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes/wepay.yaml");
    let all = YamlLoader::load_from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all.into_iter().find(|object| object["kind"].as_str() == Some(kind)).unwrap()
}

/// A folder as Kubernetes mounts a ConfigMap: links to links, for the group alone.
fn mounted_config(folder: &Path, merchant: &Value) {
    let real = folder.join("..2026_11_21");
    std::fs::create_dir_all(&real).unwrap();
    write_certificate(&real, merchant);
    let config = json!({
        "env": "H5", "type": "普通商户", "appId": merchant["app_id"], "mchId": merchant["mch_id"],
        "notifyUrl": "http://m.example.com/apis/v1/wepay/pay_notify",
        "partnerKey": merchant["api_key"], "pfx": "apiclient_cert.p12",
        "passphrase": merchant["p12_passphrase"], "_payUrl": "http://m.example.com/eshop",
        "cbNotifyUrl": "http://sharks-api/apis/v1/mqtt/pay_notify",
    });
    std::fs::write(real.join("config.json"), config.to_string()).unwrap();
    symlink("..2026_11_21", folder.join("..data")).unwrap();
    for name in ["config.json", "apiclient_cert.p12"] {
        let mode = std::fs::Permissions::from_mode(0o440);
        std::fs::set_permissions(real.join(name), mode).unwrap();
        symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
}

/// The command line, the folder and the variables of the manifest are what is run here; only the
/// places of its two volumes and the port are this machine's.
#[tokio::test]
async fn the_manifest_serves_over_the_older_services_configmap() {
    let deployment = manifest("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let folder = fresh_folder("manifest");
    let sandbox = ProviderSandbox::plain(&folder.join("sandbox")).await;
    let merchant = sandbox.get("/_sandbox/credentials").await["wechat"].clone();
    let mounts = container["volumeMounts"].as_vec().unwrap().iter();
    let mounts: Vec<(String, PathBuf)> = mounts
        .map(|mount| {
            let there = mount["mountPath"].as_str().unwrap().to_owned();
            let here = folder.join(mount["name"].as_str().unwrap());
            std::fs::create_dir_all(&here).unwrap();
            (there, here)
        })
        .collect();
    assert_eq!(mounts[0].0, "/data/wechat-payment/config", "where the older service had it");
    mounted_config(&mounts[0].1, &merchant);
    let place = |text: &str| {
        let mut text = text.to_owned();
        for (there, here) in &mounts {
            text = text.replace(there, &here.display().to_string());
        }
        text
    };
    let address = free_address();
    let mut command = Command::new(BINARY);
    command.args(container["args"].as_vec().unwrap().iter().map(|arg| arg.as_str().unwrap()));
    command.current_dir(place(container["workingDir"].as_str().unwrap()));
    for variable in container["env"].as_vec().unwrap() {
        let (name, value) = (variable["name"].as_str().unwrap(), &variable["value"]);
        let value = place(value.as_str().unwrap());
        let value = value.replace("0.0.0.0:9009", &address);
        // This machine plays the pods and the ingress of the cluster.
        command.env(name, value.replace("10.0.0.0/8", "10.0.0.0/8,127.0.0.0/8"));
    }
    // Instead of WeChat's own address, which tests never call.
    command.env("TONGBAO_COMPAT__0__ENDPOINT", &sandbox.base);
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let serving = Serving { base: format!("http://{address}"), child };
    serving.is_ready().await;

    let ask = async |headers: &[(&str, &str)]| {
        let url = format!("{}/apis/v1/wepay/get_pay_request_params", serving.base);
        let mut request = reqwest::Client::new().post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(order("order-0001", "H5").to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let (status, body) = ask(&[("x-forwarded-for", "203.0.113.9")]).await;
    assert_eq!((status, &body["errcode"]), (401, &json!(2)), "somebody outside: {body}");
    let (status, body) = ask(&[]).await;
    assert_eq!((status, &body["errcode"]), (200, &json!(0)), "a pod: {body}");
    let trades = sandbox.get("/_sandbox/trades").await;
    let notify_url = &trades["data"][0]["notify_url"];
    assert_eq!(*notify_url, "http://m.example.com/apis/v1/wepay/pay_notify", "as registered");
    assert!(mounts[1].1.join("tongbao.db").exists(), "the database is on the volume that stays");
    drop(serving);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_manifest_keeps_what_callers_and_operators_rely_on() {
    let service = manifest("Service");
    assert_eq!(service["metadata"]["name"].as_str(), Some("wechat-payment"));
    let deployment = manifest("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"].as_i64(), Some(9009));
    let http = container["ports"][0]["name"].as_str();
    for (at, port) in [(0, 80), (1, 3310)] {
        let entry = &service["spec"]["ports"][at];
        assert_eq!((entry["port"].as_i64(), entry["targetPort"].as_str()), (Some(port), http));
    }
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(service["spec"]["selector"], *labels);
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels);
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"].as_str(), Some(path));
        assert_eq!(container[probe]["httpGet"]["port"].as_str(), http);
    }
    let group = pod["securityContext"]["fsGroup"].as_i64();
    assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    assert_eq!(pod["securityContext"]["runAsGroup"].as_i64(), group);
    assert_ne!(pod["securityContext"]["runAsUser"].as_i64(), Some(0));
    let map = &pod["volumes"][0]["configMap"];
    assert_eq!(map["name"].as_str(), Some("wepay-cm"));
    assert_eq!(map["defaultMode"].as_i64(), Some(0o440), "readable by the group of the pod");
    let claim = &pod["volumes"][1]["persistentVolumeClaim"]["claimName"];
    assert_eq!(*claim, manifest("PersistentVolumeClaim")["metadata"]["name"]);
    assert_eq!(deployment["spec"]["strategy"]["type"].as_str(), Some("Recreate"));
    assert_eq!(deployment["spec"]["replicas"].as_i64(), Some(1));
}

/// `config` is found from the folder of the configuration file, wherever tongbao is started.
#[test]
fn the_older_file_is_named_relative_to_the_configuration() {
    let folder = fresh_folder("relative");
    std::fs::create_dir_all(folder.join("etc/wepay")).unwrap();
    let file = folder.join("etc/tongbao.toml");
    let compat =
        "[[compat]]\nprofile = \"wepay\"\napp = \"shop\"\nconfig = \"wepay/config.json\"\n";
    std::fs::write(&file, format!("[[apps]]\nname = \"shop\"\n{compat}")).unwrap();
    let list = || {
        let mut command = Command::new(BINARY);
        command.args(["keys", "list", "--app", "shop", "--config"]).arg(&file);
        command.current_dir(&folder).output().unwrap()
    };
    let missing = list();
    let error = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(error.contains("etc/wepay/config.json cannot be read"), "{error}");
    let mut merchants: Value = serde_json::from_str(&two_merchants(&json!(""))).unwrap();
    merchants[1].as_object_mut().unwrap().remove("pfx");
    std::fs::write(folder.join("etc/wepay/config.json"), merchants.to_string()).unwrap();
    let found = list();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    std::fs::remove_dir_all(&folder).unwrap();
}
