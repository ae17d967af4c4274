package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"

	"github.com/geminivideo/geminivideo/shared/telemetry"
	"github.com/geminivideo/geminivideo/shared/telemetry/export"
)

const metricsPath = "/metrics"

// measure begins to count, for the page of metrics of -metrics, and for a collector
// where OTEL_EXPORTER_OTLP_ENDPOINT names one. All functions are in this process: one
// page has the metrics of all.
func (s *system) measure() error {
	registry := prometheus.NewRegistry()
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithoutTargetInfo(),
		// The names of the list are Prometheus names as they are.
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes))
	if err != nil {
		return err
	}
	exporter := export.Start("local", reader)
	s.onStop("telemetry", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), comingDown)
		defer cancel()
		exporter.Flush(ctx)
		return nil
	})
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	s.metricsPage = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.measureQueue(r.Context())
		telemetry.Measure()
		page.ServeHTTP(w, r)
	})
	return nil
}

// measureQueue measures what production's Pub/Sub measures itself.
func (s *system) measureQueue(ctx context.Context) {
	if s.queue == nil {
		return
	}
	states, err := s.queue.States(ctx)
	if err != nil {
		return // the last values stand; the log has the outage
	}
	var waiting, ages []telemetry.Value
	for _, one := range states {
		labels := []string{one.Subscription}
		waiting = append(waiting, telemetry.Value{Value: float64(one.Due + one.Handling + one.BackingOff), Labels: labels})
		ages = append(ages, telemetry.Value{Value: one.Oldest, Labels: labels})
	}
	telemetry.SubscriptionMessages.Replace(waiting...)
	telemetry.SubscriptionAge.Replace(ages...)
}
