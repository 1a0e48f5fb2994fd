// What the cashier says, in Chinese and English; the words are those of tongbao's own cashier page.

/** A language of the cashier. */
export type Language = 'zh' | 'en';

export interface Texts {
  code: string;
  timeLeft: string;
  timeOver: string;
  testMode: string;
  offline: string;
  scanWechat: string;
  scanAlipay: string;
  scanHint: string;
  samePhone: string;
  saveCode: string;
  openAlipay: string;
  goHeading: string;
  goHint: string;
  goWechat: string;
  goAlipay: string;
  appHeading: string;
  appHint: string;
  preparing: string;
  preparingHint: string;
  choose: string;
  chooseHint: string;
  toCashier: string;
  paid: string;
  paidHint: string;
  closed: string;
  closedHint: string;
  failed: string;
  failedHint: string;
  lost: string;
  lostHint: string;
}

export const TEXTS: Record<Language, Texts> = {
  zh: {
    code: '付款二维码',
    timeLeft: '剩余时间',
    timeOver: '时间已到，正在确认结果…',
    testMode: '测试模式，不会真的扣款',
    offline: '网络中断，正在重新连接…已完成的付款不会丢失。',
    scanWechat: '请用微信扫码付款',
    scanAlipay: '请用支付宝扫码付款',
    scanHint: '付款后，这里会自动显示结果。',
    samePhone: '正在用手机看本页？先保存二维码，再在微信“扫一扫”里从相册选取。',
    saveCode: '保存二维码',
    openAlipay: '打开支付宝付款',
    goHeading: '下一步：付款',
    goHint: '付款后回到本页，结果会自动显示。',
    goWechat: '去微信付款',
    goAlipay: '去支付宝付款',
    appHeading: '请在应用内付款',
    appHint: '请回到下单的应用或小程序完成付款，结果会显示在这里。',
    preparing: '正在准备付款…',
    preparingHint: '通常只要几秒钟，这里会自动更新。',
    choose: '请选择付款方式',
    chooseHint: '在收银台选好之后付款，结果会显示在这里。',
    toCashier: '打开收银台',
    paid: '付款成功',
    paidHint: '感谢您的惠顾。',
    closed: '订单已关闭',
    closedHint: '这个订单不能再付款了，如仍需要请重新下单。',
    failed: '无法付款',
    failedHint: '支付渠道没有接受这个订单，请重新下单或换一种付款方式。',
    lost: '暂时看不到付款状态',
    lostHint: '付款结果请以商家的订单页为准。',
  },
  en: {
    code: 'QR code for the payment',
    timeLeft: 'Time left',
    timeOver: 'Time is up, checking the result…',
    testMode: 'Test mode: no real money moves',
    offline: 'No connection, trying again… A payment already made is not lost.',
    scanWechat: 'Scan with WeChat to pay',
    scanAlipay: 'Scan with Alipay to pay',
    scanHint: 'The result shows here by itself.',
    samePhone: 'Reading this on your phone? Save the code, then pick it from the album in '
      + 'WeChat’s scanner.',
    saveCode: 'Save the code',
    openAlipay: 'Open Alipay to pay',
    goHeading: 'Next: pay',
    goHint: 'Come back here afterwards; the result shows by itself.',
    goWechat: 'Continue to WeChat',
    goAlipay: 'Continue to Alipay',
    appHeading: 'Please pay in the app',
    appHint: 'Go back to the app in which you ordered and pay there; the result shows here.',
    preparing: 'Preparing the payment…',
    preparingHint: 'This takes a few seconds.',
    choose: 'Choose how to pay',
    chooseHint: 'Choose and pay at the checkout; the result shows here.',
    toCashier: 'Open the checkout',
    paid: 'Paid',
    paidHint: 'Thank you.',
    closed: 'This order is closed',
    closedHint: 'It can no longer be paid. If you still want it, please order again.',
    failed: 'This order cannot be paid',
    failedHint: 'The payment provider did not accept it. Please order again or choose another '
      + 'way to pay.',
    lost: 'The payment’s state cannot be shown',
    lostHint: 'Your order’s page at the shop has the last word on the payment.',
  },
};

/** The language of an element, else of the browser, else Chinese as most payers are. */
export function languageOf(element: Element): Language {
  const tag = element.closest('[lang]')?.getAttribute('lang') || globalThis.navigator?.language;
  return /^en\b/i.test(tag ?? '') ? 'en' : 'zh';
}
