//! Writes the first files of every corpus: `cargo run --example make_corpora`. Keys are made for
//! the purpose. Files that are there already stay as they are.

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use std::io::{Cursor, Write};
use std::path::Path;
use tongbao_alipay::bill::{BillHead, write_fund_bill, write_trade_bill};
use tongbao_crypt::{ClientIdentity, P12Style, RsaPrivateKey};

type Seeds = Vec<Vec<u8>>;

fn main() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, _) in tongbao_fuzz::TARGETS {
        let folder = corpora.join(name);
        std::fs::create_dir_all(&folder).expect("the corpus can be written");
        let named = |kind: &str, seeds: Seeds| {
            for (at, seed) in seeds.into_iter().enumerate() {
                let file = folder.join(format!("{kind}-{at:02}"));
                if !file.exists() {
                    std::fs::write(file, seed).expect("the corpus can be written");
                }
            }
        };
        named("hostile", hostile());
        named("seed", seeds(name));
    }
}

/// What any parser may get.
fn hostile() -> Seeds {
    let deep = |unit: &str| format!("\u{1}{}", unit.repeat(500)).into_bytes();
    vec![
        Vec::new(),
        vec![0],
        vec![0xff; 40],
        b"\xef\xbb\xbf".to_vec(),
        deep("["),
        deep("{\"a\":"),
        deep("<a>"),
        deep("%25"),
        deep("&a=1"),
        b"\x01<!DOCTYPE x [<!ENTITY a \"&a;\">]><xml><a>&a;</a></xml>".to_vec(),
        b"\x02{\"a\":1e999999,\"a\":\"\\ud800\"}".to_vec(),
        b"\x00a=\xc0\xaf&b=%ed%a0%80&charset=gbk\r\n\r\n\0".to_vec(),
    ]
}

fn seeds(target: &str) -> Seeds {
    match target {
        "addresses" => lines(ADDRESSES),
        "public_ids" => lines(IDS),
        "config_toml" => configurations(),
        "certificates" => keys(),
        "pkcs12" => containers(),
        "bill_text" => bills_of_wechat(),
        "bill_zip" => bills_of_alipay(),
        "wechat_v2_xml" | "wechat_v2_notice" => lines(XML),
        "wechat_requests" | "wechat_v2_replies" => chosen(&[0, 1, 130], XML),
        "wechat_v3_notice" => chosen(&[1, 2, 0x83], V3),
        "wechat_v3_replies" | "alipay_v3_replies" => chosen(&[0, 0x80, 3], V3),
        "alipay_notice" => lines(FORMS),
        "alipay_requests" => chosen(&[0, 1], FORMS),
        "alipay_replies" => chosen(&[0], REPLIES),
        "v1_requests" => V1.iter().map(|(at, text)| joined(*at, text)).collect(),
        "compat_requests" => chosen(&[0, 1, 2, 3, 4, 5], COMPAT),
        other => panic!("{other} has no seeds"),
    }
}

fn joined(first: u8, text: &str) -> Vec<u8> {
    [&[first], text.as_bytes()].concat()
}

fn lines(texts: &[&str]) -> Seeds {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn chosen(firsts: &[u8], texts: &[&str]) -> Seeds {
    firsts.iter().flat_map(|first| texts.iter().map(|text| joined(*first, text))).collect()
}

const ADDRESSES: &[&str] = &[
    "https://shop.example.com/hook",
    "http://127.0.0.1/",
    "http://[::ffff:127.0.0.1]:80/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://0/",
    "http://[::]/",
    "http://[fe80::1]/",
    "http://169.254.169.254/latest/meta-data",
    "http://[64:ff9b::7f00:1]/",
    "http://localhost./",
    "http://LOCALHOST/",
    "https://user:pass@shop.example.com/",
    "file:///etc/passwd",
    "http://１２７.0.0.1/",
];

const IDS: &[&str] = &[
    "ch_00000000000000000000000000",
    "ch_zzzzzzzzzzzzzzzzzzzzzzzzzz",
    "re_0123456789abcdefghjkmnpqrs",
    "CH_00000000000000000000000000",
    "ch_0000000000000000000000000",
    "evt_01",
    "12.30",
    "0.00",
    "92233720368547758.07",
    "2026-11-21T06:30:00Z",
    "2026-11-21T14:30:00+08:00",
    "TB20261121000001",
];

const XML: &[&str] = &[
    "<xml><return_code><![CDATA[SUCCESS]]></return_code><result_code>SUCCESS</result_code>\
     <appid>wx0000000000000001</appid><mch_id>1900000001</mch_id><total_fee>8888</total_fee>\
     <out_trade_no>TB20261121000001</out_trade_no><transaction_id>4200000001</transaction_id>\
     <time_end>20261121142911</time_end><sign>0</sign></xml>",
    "<xml><appid>wx0000000000000001</appid><mch_id>1900000001</mch_id><nonce_str>n</nonce_str>\
     <sign>0</sign><body>tea</body><out_trade_no>A1</out_trade_no><total_fee>1</total_fee>\
     <spbill_create_ip>127.0.0.1</spbill_create_ip><notify_url>https://a.example</notify_url>\
     <trade_type>NATIVE</trade_type></xml>",
    "<xml><return_code>FAIL</return_code><return_msg>签名错误</return_msg></xml>",
    "<?xml version=\"1.0\"?><xml><refund_count>2</refund_count><refund_fee_0>1</refund_fee_0>\
     <out_refund_no_0>R1</out_refund_no_0><refund_status_0>SUCCESS</refund_status_0></xml>",
    "<root><out_trade_no>A1</out_trade_no><out_refund_no>R1</out_refund_no>\
     <refund_status>SUCCESS</refund_status></root>",
    "<xml><a=1&b>1</a=1&b></xml>",
    "<xml><attach>x&amp;total_fee=1</attach><sign>0</sign></xml>",
];

const V3: &[&str] = &[
    "{\"appid\":\"wx0000000000000001\",\"mchid\":\"1900000001\",\"amount\":{\"total\":8888,\
     \"currency\":\"CNY\"},\"out_trade_no\":\"TB20261121000001\",\"trade_state\":\"SUCCESS\",\
     \"transaction_id\":\"4200000001\",\"success_time\":\"2026-11-21T14:29:11+08:00\"}",
    "{\"id\":\"EV-1\",\"event_type\":\"TRANSACTION.SUCCESS\",\"resource\":{\"algorithm\":\
     \"AEAD_AES_256_GCM\",\"nonce\":\"123456789012\",\"ciphertext\":\"AAAA\"}}",
    "{\"data\":[{\"serial_no\":\"1\",\"effective_time\":\"\",\"expire_time\":\"\",\
     \"encrypt_certificate\":{\"algorithm\":\"AEAD_AES_256_GCM\",\"nonce\":\"123456789012\",\
     \"ciphertext\":\"AAAA\"}}]}",
    "{\"code\":\"ORDER_NOT_EXIST\",\"message\":\"no\"}",
    "{\"out_trade_no\":\"TB20261121000001\",\"trade_status\":\"TRADE_SUCCESS\",\
     \"total_amount\":\"88.88\",\"trade_no\":\"1\"}",
    "Wechatpay-Timestamp: 1795242600\nWechatpay-Nonce: n\nWechatpay-Signature: AA==\n\
     Wechatpay-Serial: 1\n\n{}",
];

const FORMS: &[&str] = &[
    "app_id=2021000000000001&seller_id=2088000000000001&out_trade_no=TB20261121000001&trade_no=1\
     &notify_id=1&trade_status=TRADE_SUCCESS&total_amount=88.88&total_fee=88.88&charset=utf-8\
     &gmt_payment=2026-11-21+14%3A29%3A11&sign=AA%3D%3D&sign_type=RSA2",
    "subject=%B2%E2&charset=gbk&sign=0&sign_type=MD5",
    "method=alipay.trade.query&app_id=2021000000000001&sign_type=RSA2&sign=AA%3D%3D&version=1.0\
     &timestamp=2026-11-21+14%3A30%3A00&charset=utf-8\
     &biz_content=%7B%22out_trade_no%22%3A%22A%22%7D",
    "service=create_direct_pay_by_user&partner=2088000000000001&_input_charset=utf-8&total_fee=1.00\
     &out_trade_no=A1&subject=tea&payment_type=1&seller_id=2088000000000001&sign=0&sign_type=MD5",
    "--b\r\nContent-Disposition: form-data; name=\"app_id\"\r\n\r\n2021\r\n--b--\r\n",
    "a%26b%3D1=2&body=x%26trade_no%3D1",
    "app_id=1&%61pp_id=2",
];

const REPLIES: &[&str] = &[
    "{\"code\":\"10000\",\"msg\":\"Success\",\"out_trade_no\":\"TB20261121000001\",\
     \"trade_no\":\"1\",\"trade_status\":\"TRADE_SUCCESS\",\"total_amount\":\"88.88\"}",
    "{\"code\":\"40004\",\"msg\":\"Business Failed\",\"sub_code\":\"ACQ.TRADE_NOT_EXIST\"}",
    "{\"code\":\"10000\",\"msg\":\"Success\",\"qr_code\":\"https:\\/\\/qr.alipay.com\\/1\"}",
    "{\"alipay_trade_query_response\":{\"a\":\"}\"},\"sign\":\"AA==\",\"sign\":\"BB==\"}",
    "<?xml version=\"1.0\" encoding=\"GBK\"?><alipay><is_success>T</is_success><response><trade>\
     <trade_status>TRADE_SUCCESS</trade_status></trade></response><sign>0</sign></alipay>",
    "<alipay><is_success>F</is_success><error>TRADE_NOT_EXIST</error></alipay>",
    "true",
];

const V1: &[(u8, &str)] = &[
    (0, "{\"amount\":1200,\"subject\":\"tea\"}"),
    (0, "{\"amount\":1200,\"subject\":\"tea\",\"channel\":\"wechat.native\",\"order_no\":\"A1\"}"),
    (0, "{\"amount\":1e3,\"subject\":\"tea\"}"),
    (0, "{\"amount\":-1,\"subject\":null,\"x\":{}}"),
    (1, "{\"charge\":\"ch_00000000000000000000000000\",\"amount\":1}"),
    (2, "{\"url\":\"https://shop.example.com/hook\",\"events\":[\"*\"]}"),
    (2, "{\"url\":\"http://169.254.169.254/\",\"events\":[\"charge.succeeded\"]}"),
    (3, "{\"channel\":\"wechat\",\"date\":\"2026-02-30\"}"),
    (4, "limit=101&status=pending&created_after=2026-11-21T00:00:00Z"),
    (5, "charge=ch_00000000000000000000000000&limit=1&limit=2"),
    (7, "ch_00000000000000000000000000/qr.svg"),
    (8, "ch_00000000000000000000000000?client_secret=%00"),
    (9, "wechat/2026-13-01"),
];

const COMPAT: &[&str] = &[
    "{\"order_id\":\"A1\",\"amount\":1200,\"channel\":\"wx_pub_qr\",\"subject\":\"tea\"}",
    "order_id=A1&amount=12.00&channel=alipay&subject=%E8%8C%B6",
    "{\"amount\":1e400,\"amount\":\"x\"}",
];

fn configurations() -> Seeds {
    let example = include_str!("../../tongbao.example.toml").replace("_file", "_text");
    let texts = [
        "[server]\nlisten = \"0.0.0.0:9009\"\n",
        "[server]\nlisten = 9\n[[apps]]\n",
        "[database]\nurl = \"mysql://a:b@c/d\"\n[[apps]]\nname = \"shop\"\n",
        "[[apps]]\nname = \"shop\"\n[[apps.accounts]]\nprovider = \"wechat\"\napi = \"v3\"\n",
        "[polling]\ndelay = \"5s\"\nattempts = 99999999999999999999\n",
        "[polling]\ndelay = \"-5s\"\nttl = \"99999999999999d\"\n",
        "[servr]\nlisten = \"x\"\n",
        "a = { b = { c = [[[[[[]]]]]] } }\n",
        "[[compat]]\nprofile = \"wepay\"\napp = \"shop\"\nallow_from = [\"10.0.0.0/99\"]\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain([example.into_bytes()]).collect()
}

fn certified() -> (RsaPrivateKey, String) {
    let key = RsaPrivateKey::generate();
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&key.to_pkcs8_pem(), &PKCS_RSA_SHA256);
    let params = CertificateParams::new(vec!["fuzz.example".to_owned()]);
    let made = params.and_then(|params| params.self_signed(&pair?));
    (key, made.expect("a certificate of one's own").pem())
}

fn keys() -> Seeds {
    let (key, pem) = certified();
    let der = tongbao_crypt::Certificate::from_pem(&pem).expect("just made").as_der().to_vec();
    vec![
        key.public().to_spki_pem().into_bytes(),
        key.public().to_spki_base64().into_bytes(),
        key.to_pkcs1_pem().as_bytes().to_vec(),
        format!("{pem}\n{pem}").into_bytes(),
        pem.replace('A', "B").into_bytes(),
        pem.into_bytes(),
        der[..der.len() / 2].to_vec(),
        der,
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_vec(),
        b"-----BEGIN PUBLIC KEY-----\n".to_vec(),
    ]
}

fn containers() -> Seeds {
    let (key, pem) = certified();
    let identity =
        ClientIdentity::from_pem(&pem, &key.to_pkcs8_pem()).expect("they belong together");
    let styles = [P12Style::Modern, P12Style::Legacy];
    let whole = styles.map(|style| identity.to_p12("fuzz", "1900000001", style));
    let mut seeds = whole.to_vec();
    for one in &whole {
        seeds.push(one[..one.len() / 2].to_vec());
        let mut bent = one.clone();
        bent[40] ^= 0x20;
        seeds.push(bent);
    }
    seeds.push(b"\x30\x84\xff\xff\xff\xff\x02\x01\x03".to_vec());
    seeds
}

fn bills_of_wechat() -> Seeds {
    let head = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,\
                交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,\
                退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,\
                申请退款金额,费率备注";
    let row = "`2026-11-20 10:00:00,`wx1,`1900000001,`0,`,`4200000001,`A1,`o1,`NATIVE,`SUCCESS,\
               `OTHERS,`CNY,`1.00,`0.00,`0,`0,`0.00,`0.00,`,`,`tea,`,`0.01000,`0.60%,`1.00,`0.00,`";
    let sums = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
    let end = "`1,`1.00,`0.00,`0.00,`0.01000,`1.00,`0.00";
    let whole = format!("\0{head}\r\n{row}\r\n{sums}\r\n{end}\r\n");
    let bent = [("1.00", "1e9"), ("`A1", "`,`A1"), ("SUCCESS", "REVOKED"), ("2026", "9999")];
    let mut texts: Vec<String> = bent.map(|(from, to)| whole.replace(from, to)).to_vec();
    texts.push(format!("\0{head}\r\n{row}\r\n"));
    texts.push(whole);
    texts.into_iter().map(String::into_bytes).collect()
}

fn bills_of_alipay() -> Seeds {
    let at = |text: &str| text.parse().expect("a time");
    let head = BillHead {
        seller_id: "2088000000000001".to_owned(),
        from: at("2026-11-19T16:00:00Z"),
        until: at("2026-11-20T16:00:00Z"),
        exported_at: at("2026-11-21T01:00:00Z"),
    };
    let out = || Cursor::new(Vec::new());
    let trade = write_trade_bill(out(), &head, std::iter::empty());
    let fund = write_fund_bill(out(), &head, std::iter::empty());
    let whole = [trade, fund].map(|bill| bill.expect("memory takes it").into_inner());
    let mut seeds = whole.to_vec();
    for one in &whole {
        seeds.push(one[..one.len() - 10].to_vec());
        let mut bent = one.clone();
        let at = bent.len() - 12;
        bent[at] = 0xff;
        seeds.push(bent);
    }
    let mut text = Vec::new();
    let lines = "#支付宝业务明细查询\r\n#账号：[20880000000000010156]\r\n";
    text.write_all(&tongbao_alipay::Charset::Gbk.encode(lines)).expect("memory takes it");
    seeds.push(text);
    seeds.push(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0".to_vec());
    seeds
}
