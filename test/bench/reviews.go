package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// ask has an image reviewed.
func (r *replica) ask(ctx context.Context, ref string) (allowed bool, message string, err error) {
	body, err := review(ref)
	if err != nil {
		return false, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return false, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return false, "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return false, "", err
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Response == nil {
		return false, "", fmt.Errorf("expected a review, got %s: %s", response.Status, raw)
	}
	if answer.Response.Result != nil {
		message = answer.Response.Result.Message
	}
	return answer.Response.Allowed, message, nil
}

// asked is whose answers are measured, about which image.
type asked struct {
	what string
	*replica
	ref  string
	took []time.Duration
}

// turn asks for the length of a window, one question after the other.
func (a *asked) turn(ctx context.Context) error {
	body, err := review(a.ref)
	if err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < window; {
		start := time.Now()
		if err := post(ctx, a.client, a.url, body); err != nil {
			return fmt.Errorf("%s: %w", a.what, err)
		}
		a.took = append(a.took, time.Since(start))
	}
	return nil
}

// inTurn measures all, turn by turn, after a turn that does not count.
func inTurn(ctx context.Context, all ...*asked) error {
	for i := range turns + 1 {
		for _, a := range all {
			if err := a.turn(ctx); err != nil {
				return err
			}
			if i == 0 {
				a.took = nil
			}
		}
	}
	return nil
}

const (
	latencyHead = "%-50s %10s %10s %8s %8s\n"
	latencyRow  = "%-50s %10s %10s %8.2f %8.2f\n"
)

// against prints all beside the first.
func against(all ...*asked) {
	first := all[0]
	for _, a := range all {
		p50, p99 := percentile(a.took, 50), percentile(a.took, 99)
		fmt.Printf(latencyRow, a.what, ms(p50), ms(p99), ratio(p50, percentile(first.took, 50)), ratio(p99, percentile(first.took, 99)))
	}
}

func (c *comparison) asked() []*asked {
	return []*asked{
		{what: "1 policy", replica: c.small.replica, ref: c.images[subjectOwn].tagged},
		{what: fmt.Sprintf("%d policies", c.policies), replica: c.large.replica, ref: c.images[subjectOwn].tagged},
		{what: fmt.Sprintf("%d policies, %d for one organisation", c.policies, c.clusterPolicies()/2), replica: c.large.replica, ref: c.images[subjectShared].tagged},
	}
}

// reviews measures reviews of images whose proofs are there.
func (c *comparison) reviews(ctx context.Context) error {
	all := c.asked()
	if allowed, message, err := c.large.replica.ask(ctx, c.images[unsignedEvery/2].tagged); err != nil || allowed {
		return errors.Join(err, fmt.Errorf("an unsigned image: expected it refused, got %t %s", allowed, message))
	}
	if err := inTurn(ctx, all...); err != nil {
		return err
	}
	fmt.Printf(latencyHead, "a review of a tag, proof at hand, over TLS", "p50 ms", "p99 ms", "ratio", "ratio")
	against(all...)
	return nil
}

// reviewsBeside measures the same while sweeps run.
func (c *comparison) reviewsBeside(ctx context.Context) error {
	all := c.asked()
	log := c.large.replica.log
	began, before := time.Now(), log.count(audited)
	if err := inTurn(ctx, all...); err != nil {
		return err
	}
	ended := time.Now()
	// The one that runs now began before the end, or is the first that did not.
	if _, err := log.await(ctx, audited, log.count(audited)+1); err != nil {
		return err
	}
	sweeps, _, _ := log.state(audited)
	var swept time.Duration
	for _, e := range sweeps[before:] {
		swept += max(0, earlier(e.Time, ended).Sub(later(e.Time.Add(-e.Took), began)))
	}
	if swept == 0 {
		return errors.New("expected sweeps beside the reviews, got none")
	}
	fmt.Printf(latencyHead, fmt.Sprintf("the same while sweeps run, %.0f%% of the time", 100*float64(swept)/float64(ended.Sub(began))), "p50 ms", "p99 ms", "ratio", "ratio")
	against(all...)
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// edits is how many changes of each kind are measured.
const edits = 10

// changes measures how long after the API server has accepted it a change is what
// reviews are answered by.
func (c *comparison) changes(ctx context.Context) error {
	other, err := fixture.NewKey(fixture.P256)
	if err != nil {
		return err
	}
	policies, err := c.inForce(ctx, subjectEdited, func(ctx context.Context, mine bool) error {
		key := other
		if mine {
			key = c.key(subjectEdited)
		}
		return c.large.update(ctx, clusterPolicies, c.clusterPolicy(subjectEdited, key))
	})
	if err != nil {
		return fmt.Errorf("change a policy: %w", err)
	}
	stored, err := c.inForce(ctx, subjectSecret, func(ctx context.Context, mine bool) error {
		key := other
		if mine {
			key = c.key(subjectSecret)
		}
		return c.large.update(ctx, secrets, secret(subjectSecret, key))
	})
	if err != nil {
		return fmt.Errorf("change a Secret: %w", err)
	}
	fmt.Printf("%-50s %10s %10s\n", fmt.Sprintf("a change among %d policies, %d times", c.policies, edits), "median ms", "most ms")
	for _, row := range []struct {
		what string
		took []time.Duration
	}{{"a policy's key, until reviews answer by it", policies}, {"a Secret with a key, until reviews do", stored}} {
		fmt.Printf("%-50s %10s %10s\n", row.what, ms(median(row.took)), ms(percentile(row.took, 100)))
	}
	return nil
}

// inForce changes the key that the image's policy asks for to another and back,
// and waits each time until the answer follows.
func (c *comparison) inForce(ctx context.Context, image int, change func(ctx context.Context, mine bool) error) ([]time.Duration, error) {
	var took []time.Duration
	for i := range edits {
		mine := i%2 == 1
		if err := c.answers(ctx, image, !mine); err != nil {
			return nil, err
		}
		if err := change(ctx, mine); err != nil {
			return nil, err
		}
		accepted := time.Now()
		if err := c.answers(ctx, image, mine); err != nil {
			return nil, err
		}
		took = append(took, time.Since(accepted))
	}
	return took, nil
}

// answers waits until the image is answered so.
func (c *comparison) answers(ctx context.Context, image int, want bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		allowed, message, err := c.large.replica.ask(ctx, c.images[image].tagged)
		if err != nil {
			return err
		}
		if allowed == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("expected the review to become allowed=%t, got %t: %s", want, allowed, message)
		case <-tick.C:
		}
	}
}

// update writes an object over the one there is.
func (s *site) update(ctx context.Context, resource schema.GroupVersionResource, text string) error {
	o, err := object(text)
	if err != nil {
		return err
	}
	_, err = s.Dynamic.Resource(resource).Namespace(o.GetNamespace()).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "bench", Force: true})
	return err
}
