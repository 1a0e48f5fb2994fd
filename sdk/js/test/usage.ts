// What the README shows must fit the types; `npm run check` compiles this and runs nothing.

import {
  TongbaoError, createCharge, fetchPayUrl, mountCashier, paymentMixin, watchChargeStatus,
} from 'tongbao';
import type {Charge, ChargeStatus} from 'tongbao';

export async function older(): Promise<string> {
  const charge = await createCharge({amount: 100, subject: 'Tea', source: 'pc'}, {base: '/pay'});
  const {pay_url} = await fetchPayUrl(charge, {channel: 'ALIPAY', base: '/pay'});
  const stop: () => void = watchChargeStatus(charge, ({status}) => status === 'succeeded');
  stop();
  return pay_url;
}

export function native(element: HTMLElement, order: {id: string; client_secret: string}): void {
  const told = (charge: Charge): ChargeStatus => charge.status;
  const onError = (error: TongbaoError) => error.requestId;
  const base = 'https://pay.example';
  mountCashier(element, order, {base, language: 'en', onStatus: told, onError});
  watchChargeStatus(order, told, {base, poll: async () => ({status: 'closed'})});
}

// @ts-expect-error An amount is a number of fen.
void createCharge({amount: '1.00', subject: 'Tea'});
// @ts-expect-error There is no such status.
export const wrong: ChargeStatus = 'paid';
export const {methods} = paymentMixin({base: '/pay'});
