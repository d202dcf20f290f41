// Command bench measures what a decision costs: requests and latency cold and
// warm, throughput of warm admission against a handler that only decodes and
// allows, a burst, and memory. All figures of a table come from one run on one
// machine: read the ratios, not the milliseconds.
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
	binary := flag.String("binary", "", "the bonafide program, for memory and start-up; empty leaves those out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string) error {
	for _, part := range []func(context.Context) error{decisions, burst, doors, throughput} {
		if err := part(ctx); err != nil {
			return err
		}
		fmt.Println()
	}
	if binary == "" {
		return nil
	}
	return memory(ctx, binary)
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
