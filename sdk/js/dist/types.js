// What tongbao tells a payer's browser about a charge.
/** Whether nothing more will happen. */
export function isFinal(status) {
    return status === 'succeeded' || status === 'closed' || status === 'failed';
}
