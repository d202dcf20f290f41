package audit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// Bounds on deciding.
const (
	// perDecision is how long one question may take: three times what a review
	// has, since nobody waits.
	perDecision = 30 * time.Second
	// maxRest bounds how long a worker rests after a decision.
	maxRest = time.Second
)

// decideAll asks each question once, and then about what runs under names that
// lead elsewhere by now.
func (a *Auditor) decideAll(ctx context.Context, l *listing) {
	bar := &progress{tell: a.options.Progress, total: len(l.ordered)}
	a.each(ctx, len(l.ordered), bar, func(i int) { a.decideGroup(ctx, l.ordered[i]) })
	l.decisions.Add(int64(len(l.ordered)))
	differ := l.differing()
	bar.more(len(differ))
	a.each(ctx, len(differ), bar, func(i int) { a.decideRunning(ctx, l, differ[i]) })
}

// each does n things with the auditor's workers. A worker rests after each as
// long as that took, so that each takes half of a processor at most.
func (a *Auditor) each(ctx context.Context, n int, bar *progress, do func(int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(a.options.Workers, n) {
		workers.Go(func() {
			for i := range next {
				began := a.options.Now()
				do(i)
				bar.step()
				if !a.options.Eager {
					rest(ctx, a.options.Now().Sub(began))
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
}

func rest(ctx context.Context, long time.Duration) {
	if long <= 0 {
		return
	}
	timer := time.NewTimer(min(long, maxRest))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (a *Auditor) decideGroup(ctx context.Context, g *group) {
	if g.broken != nil { // what cannot be read is refused at admission too (TRUST R43)
		v := &Verdict{Outcome: policy.Denied}
		v.because(g.broken)
		g.verdicts = []*Verdict{v}
		return
	}
	if len(g.object.Images) == 0 {
		return
	}
	g.decision = a.ask(ctx, g.request(a.options.Namespaces))
	for _, d := range g.decision.Images {
		g.verdicts = append(g.verdicts, verdictOf(d))
	}
}

// unlike is content that runs in a group's Pods and is not what was decided.
type unlike struct {
	group *group
	ran   ran
}

// differing lists, once each, what runs and is not what was decided.
func (l *listing) differing() []unlike {
	var found []unlike
	seen := map[unlike]bool{}
	for _, p := range l.pods {
		for i, digest := range p.running {
			u := unlike{p.group, ran{i, digest}}
			if !l.differs(u) || seen[u] {
				continue
			}
			seen[u] = true
			found = append(found, u)
		}
	}
	return found
}

// differs reports that the digest is not the decided one. Where it is not known
// what was decided, as of an image that no policy covers, a deny list that names
// what runs still counts.
func (l *listing) differs(u unlike) bool {
	images := u.group.decision.Images
	if u.ran.image >= len(images) || images[u.ran.image].Reference.IsZero() {
		return false
	}
	if decided := images[u.ran.image].Digest; !decided.IsZero() {
		return decided != u.ran.digest
	}
	return l.rules.listed[u.ran.digest]
}

// decideRunning decides about what runs in place of what was decided. A manifest
// of the very index that was decided is no other content, unless a deny list
// names it: the index's digest is not on that list.
func (a *Auditor) decideRunning(ctx context.Context, l *listing, u unlike) {
	if !l.rules.listed[u.ran.digest] && a.holds(ctx, l, u) {
		return
	}
	l.decisions.Add(1)
	request := u.group.request(a.options.Namespaces)
	request.Images = []workload.Image{u.group.instead(u.ran)}
	runs := verdictOf(a.ask(ctx, request).Images[0])
	v := differing(u.group.verdicts[u.ran.image], runs, u.ran.digest.String())
	u.group.mu.Lock()
	defer u.group.mu.Unlock()
	if u.group.running == nil {
		u.group.running = map[ran]*Verdict{}
	}
	u.group.running[u.ran] = v
}

// ask has a question decided. There is one decision for each image, whatever the
// decider does.
func (a *Auditor) ask(ctx context.Context, r engine.Request) (d engine.Decision) {
	ctx, cancel := context.WithTimeout(ctx, perDecision)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // one Pod must not end the audit of all (TRUST R48)
			a.log.ErrorContext(ctx, "panic", slog.String("during", "audit"), slog.Any("panic", p))
			d = undecided(r.Images, "an internal error")
		}
	}()
	d = a.options.Decider.Decide(ctx, r)
	if len(d.Images) != len(r.Images) {
		return undecided(r.Images, fmt.Sprint(len(d.Images)))
	}
	return d
}

func undecided(images []workload.Image, got string) engine.Decision {
	var d engine.Decision
	for _, image := range images {
		d.Images = append(d.Images, engine.ImageDecision{
			Image: image, Problem: &evidence.Problem{Reason: evidence.Internal, Expected: "a decision for each image", Got: got},
		})
	}
	return d
}

// progress counts what is done.
type progress struct {
	tell        func(done, total int)
	mu          sync.Mutex
	done, total int
}

func (p *progress) more(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += n
}

func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.tell != nil {
		p.tell(p.done, p.total)
	}
}
