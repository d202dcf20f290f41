package audit

import (
	"context"
	"time"

	"github.com/bonafide-dev/bonafide/workload"
)

// Bounds on warming up, which must not stand in the way of what it is for.
const (
	maxWarmImages = 1000
	maxWarmTime   = 5 * time.Minute
)

// Warmed says what a warm-up did.
type Warmed struct {
	Images int // that were decided, distinct by namespace
	Left   int // that were not, for bounds
	Took   time.Duration
}

// Warm has the images of running Pods decided, so that the decider has their
// proofs when the first Pod is restarted. It decides 1,000 distinct images at
// most, takes five minutes at most, and reports nothing about them. It is called
// when policies are loaded. An error means that Pods could not be listed.
func (a *Auditor) Warm(ctx context.Context) (Warmed, error) {
	began := a.options.Now()
	ctx, cancel := context.WithTimeout(ctx, maxWarmTime)
	defer cancel()
	l, err := a.list(ctx)
	if err != nil {
		return Warmed{}, err
	}
	asked, left := distinct(l.ordered)
	bar := &progress{tell: a.options.Progress, total: len(asked)}
	a.each(ctx, len(asked), bar, func(i int) {
		g := asked[i]
		if ctx.Err() == nil {
			a.ask(ctx, g.request(a.options.Namespaces))
		}
	})
	return Warmed{Images: bar.done, Left: left + len(asked) - bar.done, Took: a.options.Now().Sub(began)}, nil
}

// distinct returns a question for each image of a namespace, and how many images
// are beyond the bound.
func distinct(groups []*group) (asked []*group, left int) {
	type image struct{ namespace, ref string }
	seen := map[image]bool{}
	for _, g := range groups {
		for _, i := range g.object.Images {
			key := image{g.namespace, i.Ref}
			if seen[key] {
				continue
			}
			seen[key] = true
			if len(asked) == maxWarmImages {
				left++
				continue
			}
			one := &group{namespace: g.namespace, object: g.object}
			one.object.Images = []workload.Image{i}
			asked = append(asked, one)
		}
	}
	return asked, left
}
