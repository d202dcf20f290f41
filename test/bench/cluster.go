package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// sizes are how much there is in the cluster that is measured.
type sizes struct{ policies, pods int }

// Of the images of a fleet these are asked about: one whose policy is told from
// all others by the beginning of the repository, one whose policy begins as half
// of all others do, one whose policy changes, and one whose policy's Secret does.
const (
	subjectOwn    = 0
	subjectShared = 1
	subjectEdited = 2
	subjectSecret = 10
	leastPolicies = subjectSecret + 1
)

// starts is how often each start is measured.
const starts = 5

// site is a cluster and who serves it.
type site struct {
	*rig.Cluster
	binary  string
	fleet   *fleet
	replica *replica
}

func (s *site) start(ctx context.Context, interval string) error {
	var err error
	s.replica, err = startReplica(ctx, s.binary, s.Kubeconfig, s.fleet.registry.Host(), "--audit-interval", interval)
	return err
}

func (s *site) stop() error {
	r := s.replica
	s.replica = nil
	if r == nil {
		return nil
	}
	return r.stop()
}

// cluster measures the program in a cluster with many policies and Pods beside
// one with none, then one policy. Both have an API server of their own, so that
// one is measured after the other in turn.
func cluster(ctx context.Context, binary string, z sizes) error {
	s := &stand{ctx: ctx}
	return s.run(func() error {
		registry, err := fixture.NewRegistry(fixture.Options{Referrers: true, Latency: latency})
		if err != nil {
			return err
		}
		s.Cleanup(registry.Close)
		f, err := newFleet(ctx, registry, z.policies, z.pods)
		if err != nil {
			return err
		}
		c := &comparison{
			fleet: f,
			small: &site{Cluster: newCluster(s), binary: binary, fleet: f},
			large: &site{Cluster: newCluster(s), binary: binary, fleet: f},
		}
		for _, site := range []*site{c.small, c.large} {
			s.Cleanup(func() {
				if err := site.stop(); err != nil {
					s.Errorf("stop bonafide serve: %w", err)
				}
			})
		}
		return c.measure(ctx)
	})
}

// comparison is of a cluster with next to nothing and one with much.
type comparison struct {
	*fleet
	small, large *site
}

func (c *comparison) measure(ctx context.Context) error {
	into, err := newFiller(c.fleet, c.large.Cluster)
	if err != nil {
		return err
	}
	if err := into.fill(ctx); err != nil {
		return err
	}
	fmt.Printf("%d policies and %d Pods of %d images in %d namespaces, at a real API server; no kubelet runs: this program wrote the Pods' status\n",
		c.policies, c.pods, len(c.images), c.namespaces())
	fmt.Printf("the registry answers each request after %s; the API servers, the registry and this program share the machine\n", latency)
	for _, step := range []func(context.Context) error{c.starts, c.first, c.reviews, c.changes, c.sweeps} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// starts measures from the process's start to ready.
func (c *comparison) starts(ctx context.Context) error {
	took := map[*site][]time.Duration{}
	memory := map[*site][]float64{}
	for range starts {
		for _, s := range []*site{c.small, c.large} {
			if err := s.start(ctx, "0"); err != nil {
				return err
			}
			took[s] = append(took[s], s.replica.ready)
			memory[s] = append(memory[s], s.replica.resident().now)
			if err := s.stop(); err != nil {
				return err
			}
		}
	}
	none, many := median(took[c.small]), median(took[c.large])
	slices.Sort(memory[c.small])
	slices.Sort(memory[c.large])
	light, heavy := memory[c.small][starts/2], memory[c.large][starts/2]
	fmt.Printf("%-50s %12s %12s %8s\n", "the median of "+fmt.Sprint(starts)+" starts, in turn", "nothing", "all", "ratio")
	fmt.Printf("%-50s %12s %12s %8.1f\n", "start to ready, ms", ms(none), ms(many), ratio(many, none))
	fmt.Printf("%-50s %12.0f %12.0f %8.1f\n", "resident when ready, MiB", light, heavy, heavy/light)
	return nil
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// first measures what follows the start: proofs are warmed, the first sweep runs
// beside it, and statuses are written.
func (c *comparison) first(ctx context.Context) error {
	if err := c.onePolicy(ctx); err != nil {
		return err
	}
	if err := c.small.start(ctx, "1h"); err != nil {
		return err
	}
	c.registry.Reset()
	began := time.Now()
	if err := c.large.start(ctx, "1h"); err != nil {
		return err
	}
	statuses := make(chan error, 1)
	var told time.Duration
	go func() {
		err := c.large.statuses(ctx)
		told = time.Since(began)
		statuses <- err
	}()
	if err := c.settled(ctx); err != nil {
		return err
	}
	if err := <-statuses; err != nil {
		return err
	}
	fmt.Printf("each policy has its status %s s after the start\n", seconds(told))
	return nil
}

// settled waits until all is warm and swept, and prints what that took.
func (c *comparison) settled(ctx context.Context) error {
	r := c.large.replica
	warm, err := r.log.await(ctx, warmed, 1)
	if err != nil {
		return err
	}
	afterWarm := r.resident()
	sweep, err := r.log.await(ctx, audited, 1)
	if err != nil {
		return err
	}
	if err := c.check(sweep); err != nil {
		return err
	}
	requests := len(c.registry.Requests())
	if err := c.large.reported(ctx, c.namespaces()); err != nil {
		return err
	}
	fmt.Printf("warm after %s s: %d images by namespace, %d left; resident %s MiB\n", seconds(warm.Warmed.Took), warm.Warmed.Images, warm.Warmed.Left, afterWarm)
	fmt.Printf("the first sweep, beside it: %s s, %d Pods by %d decisions, %.0f decisions/s; %d registry requests by both; reports of %d namespaces\n",
		seconds(sweep.Took), sweep.Pods, sweep.Decisions, perSecond(sweep.Decisions, sweep.Took), requests, c.namespaces())
	fmt.Printf("resident after both %s MiB, with one policy and no Pods %s MiB\n", r.resident(), c.small.replica.resident())
	return nil
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// check compares a sweep with what is there.
func (c *comparison) check(e event) error {
	type found struct{ pods, denied, undecided, unmatched int }
	want := found{c.pods, c.count(unsigned), 0, c.count(unmatched)}
	if got := (found{e.Pods, e.Denied, e.Undecided, e.Unmatched}); got != want {
		return fmt.Errorf("a sweep: expected %+v, got %+v", want, got)
	}
	return nil
}

// onePolicy gives the small cluster the policy of what is reviewed.
func (c *comparison) onePolicy(ctx context.Context) error {
	into, err := newFiller(c.fleet, c.small.Cluster)
	if err != nil {
		return err
	}
	if err := into.create(ctx, secrets, systemNamespace, secret(subjectOwn, c.key(subjectOwn))); err != nil {
		return err
	}
	return into.create(ctx, clusterPolicies, "", c.clusterPolicy(subjectOwn, c.key(subjectOwn)))
}

// sweeps measures sweeps with warm proofs, one after the other, and reviews
// beside them.
func (c *comparison) sweeps(ctx context.Context) error {
	if err := c.large.stop(); err != nil {
		return err
	}
	if err := c.large.start(ctx, "100ms"); err != nil {
		return err
	}
	log := c.large.replica.log
	if _, err := log.await(ctx, warmed, 1); err != nil {
		return err
	}
	before := log.count(audited)
	var took []time.Duration
	var last event
	var requests int
	for i := range 4 {
		e, err := log.await(ctx, audited, before+i+1)
		if err != nil {
			return err
		}
		if err := c.check(e); err != nil {
			return err
		}
		if i > 0 { // the first had begun before
			took, last, requests = append(took, e.Took), e, len(c.registry.Requests())
		}
		c.registry.Reset()
	}
	t := median(took)
	fmt.Printf("a sweep with warm proofs: %s s, the median of %d; %.0f decisions/s, %d registry requests; resident %s MiB\n",
		seconds(t), len(took), perSecond(last.Decisions, t), requests, c.large.replica.resident())
	return c.reviewsBeside(ctx)
}
