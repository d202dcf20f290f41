package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/workload"
)

// asked is a question for the decider, and who waits for the answer.
type asked struct {
	door    door
	held    *slot         // of the request; the decision holds it too
	grace   time.Duration // that the decider has after the deadline
	request engine.Request
}

// ask has the images decided. It returns by the deadline, whether the decider
// does or not, and vouches that there is one decision for each image. A problem
// says why nothing was decided; every image is then undecided because of it.
func (s *Server) ask(ctx context.Context, a asked) (engine.Decision, *evidence.Problem) {
	type outcome struct {
		decision engine.Decision
		problem  *evidence.Problem
	}
	done := make(chan outcome, 1)
	a.held.hold()
	go func() {
		defer a.held.leave()
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				s.panicked(ctx, a.door, p)
				o = outcome{problem: &evidence.Problem{Reason: evidence.Internal, Expected: "a decision", Got: "an internal error"}}
			}
			done <- o
		}()
		o.decision = s.options.Decider.Decide(ctx, a.request)
	}()
	images := a.request.Images
	select {
	case o := <-done:
		if o.problem == nil {
			o.problem = mismatch(images, o.decision)
		}
		if o.problem == nil {
			return o.decision, nil
		}
		return undecided(images, o.problem), o.problem
	case <-ctx.Done():
	}
	grace := time.NewTimer(a.grace)
	defer grace.Stop()
	select { // a decider that keeps to the deadline says more than we could
	case o := <-done:
		if o.problem == nil && mismatch(images, o.decision) == nil {
			return o.decision, nil
		}
	case <-grace.C:
	}
	late := &evidence.Problem{Reason: evidence.DeadlineExceeded, Expected: "a decision before the deadline", Got: "none yet", Err: context.Cause(ctx)}
	return undecided(images, late), late
}

// mismatch says if the decisions are not those of the images.
func mismatch(images []workload.Image, d engine.Decision) *evidence.Problem {
	same := func(i engine.ImageDecision, w workload.Image) bool { return i.Image == w }
	if slices.EqualFunc(d.Images, images, same) {
		return nil
	}
	return &evidence.Problem{Reason: evidence.Internal, Expected: "a decision for each image", Got: fmt.Sprintf("%d for %d", len(d.Images), len(images))}
}

// undecided is the decision when there is none.
func undecided(images []workload.Image, p *evidence.Problem) engine.Decision {
	d := engine.Decision{Images: make([]engine.ImageDecision, len(images))}
	for i, image := range images {
		d.Images[i] = engine.ImageDecision{Image: image, Problem: p}
	}
	return d
}
