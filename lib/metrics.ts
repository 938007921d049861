/** `sage-queue/metrics`: what a Prometheus asks. */
export { prometheusMetrics } from './metrics/openmetrics';
