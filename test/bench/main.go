// Command bench measures what a decision costs: requests and latency cold and
// warm, throughput of warm admission against a handler that only decodes and
// allows, a burst, memory, and a cluster with many policies and Pods. All figures
// of a table come from one run on one machine: read the ratios, not the
// milliseconds. It judges no figure, and ends at once where an answer is wrong.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

// latency is what the registry takes to answer each request.
const latency = 20 * time.Millisecond

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "", "the bonafide program, for memory, start-up and the cluster; empty leaves those out")
	flag.StringVar(&o.only, "only", "", "one part alone: decisions, burst, doors, throughput, memory or cluster")
	flag.IntVar(&o.cluster.policies, "policies", 1000, "how many policies the cluster has")
	flag.IntVar(&o.cluster.pods, "pods", 10_000, "how many Pods run in the cluster")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type options struct {
	binary, only string
	cluster      sizes
}

func run(ctx context.Context, o options) error {
	parts := []struct {
		name   string
		binary bool // is needed
		run    func(context.Context) error
	}{
		{"decisions", false, decisions},
		{"burst", false, burst},
		{"doors", false, doors},
		{"throughput", false, throughput},
		{"memory", true, func(ctx context.Context) error { return memory(ctx, o.binary) }},
		{"cluster", true, func(ctx context.Context) error { return cluster(ctx, o.binary, o.cluster) }},
	}
	ran := false
	for _, part := range parts {
		if o.only != "" && part.name != o.only || part.binary && o.binary == "" {
			continue
		}
		if ran {
			fmt.Println()
		}
		ran = true
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !ran {
		return fmt.Errorf("expected a part that can run without more flags, got -only %q -binary %q", o.only, o.binary)
	}
	return nil
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
