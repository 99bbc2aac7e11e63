package web

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"reqpm/internal/store"
)

// Metrics answers Prometheus from the database, so that any process of the service says the same of all.
func Metrics(s *store.Store) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{
		store:   s,
		steps:   prometheus.NewDesc("reqpm_steps", "Steps that have not ended.", []string{"kind", "state"}, nil),
		beat:    prometheus.NewDesc("reqpm_worker_beat_seconds", "Seconds since a worker's last sign of life.", []string{"worker"}, nil),
		slots:   prometheus.NewDesc("reqpm_worker_slots", "Builds that a worker does at once.", []string{"worker"}, nil),
		disk:    prometheus.NewDesc("reqpm_worker_disk_free_bytes", "Free bytes where a worker builds.", []string{"worker"}, nil),
		size:    prometheus.NewDesc("reqpm_worker_disk_size_bytes", "Bytes of the disk where a worker builds.", []string{"worker"}, nil),
		broken:  prometheus.NewDesc("reqpm_scrape_failed", "1 when the database did not answer this scrape.", nil, nil),
		runs:    prometheus.NewDesc("reqpm_runs", "Runs that have not ended.", []string{"state"}, nil),
		problem: prometheus.NewDesc("reqpm_repository_problem", "1 for a repository whose last check found something wrong.", []string{"project", "channel", "target"}, nil),
	})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

type collector struct {
	store                                                 *store.Store
	steps, beat, slots, disk, size, broken, runs, problem *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

const scrapeTime = 5 * time.Second

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	failed := 0.0
	if err := c.collect(ctx, ch); err != nil {
		failed = 1
	}
	ch <- prometheus.MustNewConstMetric(c.broken, prometheus.GaugeValue, failed)
}

func (c *collector) collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	depth, err := c.store.QueueDepth(ctx)
	if err != nil {
		return err
	}
	for _, d := range depth {
		gauge(c.steps, float64(d.Count), string(d.Kind), string(d.State))
	}
	workers, err := c.store.LivingWorkers(ctx)
	if err != nil {
		return err
	}
	for _, w := range workers {
		gauge(c.beat, time.Since(w.Beat).Seconds(), w.Name)
		gauge(c.slots, float64(w.Slots), w.Name)
		if w.DiskFree >= 0 {
			gauge(c.disk, float64(w.DiskFree), w.Name)
			gauge(c.size, float64(w.DiskSize), w.Name)
		}
	}
	for _, state := range []store.RunState{store.RunQueued, store.RunRunning} {
		n, err := c.store.CountRuns(ctx, state)
		if err != nil {
			return err
		}
		gauge(c.runs, float64(n), string(state))
	}
	repositories, err := c.store.Repositories(ctx, 0)
	if err != nil {
		return err
	}
	for _, r := range repositories {
		p, err := c.store.Project(ctx, r.Project)
		if err != nil {
			return err
		}
		bad := 0.0
		if r.Problem != "" {
			bad = 1
		}
		gauge(c.problem, bad, p.Name, r.Channel, r.Target)
	}
	return nil
}
