package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// maxMetrics bounds what a replica shows of itself.
const maxMetrics = 4 << 20

// fetch reads a page of a replica's metrics port.
func fetch(ctx context.Context, replica *rig.Bonafide, path string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, replica.Metrics+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMetrics))
	return response.StatusCode, string(body), err
}

// metric sums up the samples of a metric, at all replicas, whose labels hold
// every part, such as `outcome="denied"`.
func (i *installation) metric(t *testing.T, name string, parts ...string) float64 {
	t.Helper()
	total, err := i.sum(t.Context(), name, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func (i *installation) sum(ctx context.Context, name string, parts ...string) (float64, error) {
	var total float64
	for _, replica := range i.replicas {
		_, text, err := fetch(ctx, replica, "/metrics")
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(text) {
			if value, is := sample(line, name, parts); is {
				number, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return 0, fmt.Errorf("%s: %w", line, err)
				}
				total += number
			}
		}
	}
	return total, nil
}

// sample returns the value of a line of the Prometheus text format, if it is of
// the metric and has the labels.
func sample(line, name string, parts []string) (value string, is bool) {
	series, value, found := strings.Cut(strings.TrimSpace(line), " ")
	if rest, of := strings.CutPrefix(series, name); !found || !of || rest != "" && !strings.HasPrefix(rest, "{") {
		return "", false
	}
	for _, part := range parts {
		if !strings.Contains(series, part) {
			return "", false
		}
	}
	return value, true
}

// awaitMetric waits until a metric has a value.
func (i *installation) awaitMetric(t *testing.T, want float64, name string, parts ...string) {
	t.Helper()
	rig.Eventually(t, "the metric "+name, func(ctx context.Context) error {
		got, err := i.sum(ctx, name, parts...)
		if err == nil && got != want {
			err = fmt.Errorf("%s%q: expected %v, got %v", name, parts, want, got)
		}
		return err
	})
}

// logged counts the lines of all replicas' logs that hold every part.
func (i *installation) logged(t *testing.T, parts ...string) int {
	t.Helper()
	count := 0
	for _, replica := range i.replicas {
	lines:
		for line := range strings.Lines(replica.Log(t)) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			count++
		}
	}
	return count
}
