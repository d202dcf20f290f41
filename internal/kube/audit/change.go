package audit

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/policy"
)

// maxEvents bounds the Events of one sweep: a new policy may turn ten thousand
// Pods at once, and Events share the API server's store with everything else.
const maxEvents = 200

// slot is where a Pod names an image: a container, or a volume.
type slot struct{ list, container string }

// place is a slot of a Pod, for as long as the Pod lives.
type place struct {
	pod types.UID
	slot
}

// Reasons of the Events.
const (
	eventDenied  = "ImageDenied"
	eventAllowed = "ImageAllowed"
)

// changes records an Event for each image that is allowed no more, or again.
// What could not be decided changes nothing: an outage is no news about a Pod.
func (a *Auditor) changes(ctx context.Context, r Report) {
	now := make(map[place]policy.Outcome, len(r.Results))
	events, dropped := 0, 0
	for _, result := range r.Results {
		at := place{result.UID, slot{result.List, result.Container}}
		before, known := a.last[at]
		if result.Outcome == policy.Undecided {
			if known {
				now[at] = before
			}
			continue
		}
		now[at] = result.Outcome
		if !known || (before == policy.Denied) == (result.Outcome == policy.Denied) {
			continue
		}
		if events == maxEvents {
			dropped++
			continue
		}
		events++
		a.event(ctx, result)
	}
	a.last = now
	if dropped > 0 {
		a.log.WarnContext(ctx, "more images changed than are recorded as events", slog.Int("recorded", events), slog.Int("more", dropped))
	}
}

func (a *Auditor) event(ctx context.Context, r Result) {
	if a.options.Events == nil {
		return
	}
	where := r.Image
	switch {
	case r.List == "volumes":
		where = "volume " + r.Container + ": " + r.Image
	case r.Container != "":
		where = "container " + r.Container + ": " + r.Image
	}
	if r.Outcome == policy.Denied {
		a.options.Events.Event(ctx, r.reference(), corev1.EventTypeWarning, eventDenied, clip(where+" would not be admitted now: "+r.Message))
		return
	}
	said := where + " would be admitted now"
	if r.Excepted() {
		said += ": " + r.Message
	}
	a.options.Events.Event(ctx, r.reference(), corev1.EventTypeNormal, eventAllowed, clip(said))
}
