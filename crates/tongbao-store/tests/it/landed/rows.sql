-- Rows as tongbao 0.1.0 wrote them: a charge that was paid and one that is not, and an endpoint.
-- PostgreSQL reads ids without the X.

insert into charges values (X'019aa6b2300070008000000000000001', 'a', 'test', 'old-1', 1990, '茶叶',
    null, null, 'https://shop.example/back', null, '[["k","v"]]', 'ch_1_secret_x',
    1795242600000007, 0, 1795246200000007, 'succeeded', null, null, null,
    X'019aa6b2300070008000000000000002', '4200001', 1795242660000000,
    '{"openid":"o1","buyer_id":null}', null, 2, 3);
insert into attempts values (X'019aa6b2300070008000000000000001',
    X'019aa6b2300070008000000000000002', 'wechat.native', 'acc', 'old-1', 1795242600000007,
    'succeeded', '4200001', 1795242660000000, null, null,
    '{"type":"qr_code","code_url":"weixin://wxpay/bizpayurl?pr=x"}');
insert into events values ('a', 'test', X'019aa6b2300070008000000000000003',
    X'019aa6b2300070008000000000000001', 'charge.created', 1, 1795242600000007, '{"id":"1"}');
insert into events values ('a', 'test', X'019aa6b2300070008000000000000004',
    X'019aa6b2300070008000000000000001', 'charge.succeeded', 2, 1795242660000000, '{"id":"2"}');
insert into charges values (X'019aa6b2300070008000000000000005', 'a', 'test', 'old-2', 100, 's',
    null, null, null, null, '[]', 'ch_5_secret_x', 1795242600000009, 0, 1795246200000009,
    'pending', null, null, null, null, null, null, null, null, 0, 1);
insert into attempts values (X'019aa6b2300070008000000000000005',
    X'019aa6b2300070008000000000000006', 'alipay.qr', 'acc', 'old-2', 1795242600000009,
    'pending', null, null, null, null, null);
insert into jobs values (X'019aa6b2300070008000000000000007', 'poll:x', 'poll_attempt',
    X'019aa6b2300070008000000000000006', X'019aa6b2300070008000000000000005', 1795242605000000, 0,
    0, 0, null, null);
insert into idempotency_keys values ('a', 'test', 'key', '0f', X'019aa6b2300070008000000000000001',
    201, '{}', 1795242600000007);
insert into endpoints values (X'019aa6b2300070008000000000000008', 'a', 'test',
    'https://shop.example/hook', '["*"]', 1, null, 'v1.00000000.c2VhbGVk', null, null,
    1795242600000007);
