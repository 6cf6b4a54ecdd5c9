// Sends the spans of the node and of its threads to an OpenTelemetry collector (OTEL_EXPORTER_OTLP_ENDPOINT, else localhost:4318).
import { threadId } from 'node:worker_threads';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const resource = defaultResource().merge(
  resourceFromAttributes({ 'service.name': 'troupe', 'process.pid': process.pid, 'thread.id': threadId }),
);
const spanProcessors = [new BatchSpanProcessor(new OTLPTraceExporter())];
const provider = new NodeTracerProvider({ resource, spanProcessors });
provider.register();

/** Called when the thread or the node ends in order. */
export const flush = () => provider.forceFlush();
