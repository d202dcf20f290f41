package registration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	// contested is how many repairs in a row are no person's doing any more.
	contested = 5
	// calm ends a row: so long nobody edited anything.
	calm = time.Minute
	// contestedLines is how many repairs of a contest one line of the log is for.
	contestedLines = 60
)

// A contest counts the repairs that follow each other.
type contest struct {
	repairs int
	calm    *time.Timer
}

// another notes a repair, and returns how many there were in this row.
func (c *contest) another() int {
	if c.calm == nil {
		c.calm = time.NewTimer(calm)
	}
	select {
	case <-c.calm.C:
		c.repairs = 0
	default:
	}
	c.calm.Reset(calm)
	c.repairs++
	return c.repairs
}

// created tells what was registered for the first time from what someone deleted.
func (r *registrar) created(ctx context.Context, c configuration) {
	before := r.known[c.kind]
	r.asItShouldBe(c)
	if before {
		r.putBack(ctx, c, "deleted", "; created again: stop the Deployment before uninstalling")
		return
	}
	r.options.Log.WarnContext(ctx, "created a webhook configuration", "kind", c.kind, "name", c.name, "reason", ReasonRegistered)
	r.event(ctx, c, corev1.EventTypeNormal, ReasonRegistered, "created")
}

// wrote tells a rotation's new bundle, which is our own doing, from what a former
// version registered, and both from an edit.
func (r *registrar) wrote(ctx context.Context, c configuration, d difference) {
	edited := slices.Clone(d.fields)
	if slices.ContainsFunc(d.bundles, func(have string) bool { return have != r.written[c.kind] }) {
		edited = append(edited, "webhooks[*].clientConfig.caBundle")
	}
	if d.labels {
		edited = append(edited, "metadata")
	}
	before := r.known[c.kind]
	r.asItShouldBe(c)
	fields := strings.Join(edited, ", ")
	switch {
	case len(edited) == 0:
		r.options.Log.InfoContext(ctx, "wrote the new authorities into a webhook configuration", "kind", c.kind, "name", c.name)
	case !before:
		r.options.Log.WarnContext(ctx, "brought a webhook configuration up to date", "kind", c.kind, "name", c.name, "fields", fields)
		r.event(ctx, c, corev1.EventTypeNormal, ReasonUpdated, "brought up to date: "+fields)
	default:
		if d.editor != "" {
			fields += fmt.Sprintf(" (written by %q)", d.editor)
		}
		r.putBack(ctx, c, "edited", "; put back: "+fields)
	}
}

// putBack says that someone changed what is ours, and what became of it. Where
// that goes on and on, the Event says so, and the log not each time.
func (r *registrar) putBack(ctx context.Context, c configuration, did, then string) {
	row := r.contest.another()
	if row < contested {
		r.options.Log.WarnContext(ctx, "put back a webhook configuration that someone "+did, "kind", c.kind, "name", c.name, "what", did+then)
		r.event(ctx, c, corev1.EventTypeWarning, ReasonRepaired, "someone "+did+" it"+then)
		return
	}
	if row%contestedLines == contested {
		r.options.Log.ErrorContext(ctx, "someone changes a webhook configuration again and again; it is put back once a second at most", "kind", c.kind, "name", c.name, "what", did+then, "times", row)
	}
	r.event(ctx, c, corev1.EventTypeWarning, ReasonContested, "a controller that is to leave it alone "+did+" it again and again"+then)
}

func (r *registrar) event(ctx context.Context, c configuration, kind, reason, message string) {
	if r.options.Events == nil {
		return
	}
	about := corev1.ObjectReference{APIVersion: admission.SchemeGroupVersion.String(), Kind: c.kind, Name: c.name}
	r.options.Events.Event(ctx, about, kind, reason, message)
}
