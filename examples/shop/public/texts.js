// What the shop says, in Chinese and English.

export const TEXTS = {
  zh: {
    name: '清和茶铺',
    lead: '一盏好茶，慢慢喝。',
    about: '六种茶，小份寄出。选一种，扫码付款，页面会自己告诉您收到了。',
    choose: '选一种茶',
    wechat: '微信支付',
    alipay: '支付宝',
    alipayPage: '支付宝网页',
    orderNo: '订单号',
    state: '状态',
    waiting: '等待付款',
    confirming: '已付款，正在确认…',
    paid: '已付款，正在包茶',
    ended: '未付款，已结束',
    back: '回到茶单',
    wallet: '打开模拟钱包付款',
    walletHint: '这是演示：',
    pretend: '这是一间演示用的茶铺，不会真的扣款，也不会真的寄茶。',
    noOrder: '没有找到这个订单。',
    trouble: '下单没有成功：',
  },
  en: {
    name: 'Qinghe Tea',
    lead: 'Good tea takes its time.',
    about: 'Six teas in small packets. Choose one, scan the code, and this page tells you by '
      + 'itself once the money is there.',
    choose: 'Choose a tea',
    wechat: 'WeChat Pay',
    alipay: 'Alipay',
    alipayPage: 'Alipay web',
    orderNo: 'Order',
    state: 'Status',
    waiting: 'Waiting for payment',
    confirming: 'Paid, confirming…',
    paid: 'Paid. Your tea is being packed',
    ended: 'Ended without payment',
    back: 'Back to the teas',
    wallet: 'pay in a pretended wallet',
    walletHint: 'Demonstration:',
    pretend: 'This shop is a demonstration: no money moves, and no tea is sent.',
    noOrder: 'There is no such order.',
    trouble: 'The order was not made: ',
  },
};

/** `?lang=` first, then what was chosen before, then the browser's. */
export function language() {
  const asked = new URLSearchParams(location.search).get('lang');
  const wanted = asked ?? localStorage.getItem('language') ?? navigator.language;
  return /^en\b/i.test(wanted) ? 'en' : 'zh';
}
