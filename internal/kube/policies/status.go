package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
)

const (
	// statusInterval is how often counters are written, and how soon a status is
	// tried again that could not be written.
	statusInterval = time.Minute
	// fieldManager names this program to the API server.
	fieldManager = "bonafide"
)

// KeepStatus writes the status of the native kinds until ctx ends: after each
// set, and once a minute their counters. The replica that leads calls it; it
// may be called again after it returned. It writes only what differs from what
// the API server has.
func (s *Source) KeepStatus(ctx context.Context) {
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	counts := counting{from: s.options.Counts, written: make(map[types.UID][2]int64)}
	for {
		s.mu.Lock()
		set, renewed := s.set, s.renewed // the set that was, and when there is another
		s.mu.Unlock()
		if set != nil {
			if err := s.writeStatus(ctx, set, &counts); err != nil && ctx.Err() == nil {
				s.options.Log.WarnContext(ctx, "the status of policies could not be written; it is tried again", slog.String("error", err.Error()))
			}
		}
		counts.due = false
		select {
		case <-ctx.Done():
			return
		case <-renewed:
		case <-ticker.C:
			counts.due = true
		}
	}
}

// counting remembers which counts are part of a status already.
type counting struct {
	from    func(kind, namespace, name string) (matched, denied int64)
	written map[types.UID][2]int64
	due     bool
}

// more returns what was counted since it was last written.
func (c *counting) more(r Result) (now, more [2]int64) {
	if c.from == nil || !c.due {
		return c.written[r.UID], more
	}
	now[0], now[1] = c.from(r.Kind, r.Namespace, r.Name)
	before := c.written[r.UID]
	for i := range now {
		more[i] = max(now[i]-before[i], 0)
	}
	return now, more
}

// writeStatus writes what differs. It goes on after an error.
func (s *Source) writeStatus(ctx context.Context, set *Set, counts *counting) error {
	var failed []error
	for _, r := range set.Results {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.Resource.Group != v1alpha1.Group {
			continue // foreign kinds belong to others
		}
		now, more := counts.more(r)
		if err := s.writeOne(ctx, set, r, more); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", r, err))
			continue
		}
		counts.written[r.UID] = now
	}
	return errors.Join(failed...)
}

// writeOne writes the status of one object, by a patch that names the object by
// its UID: one that was made anew since has a status of its own.
func (s *Source) writeOne(ctx context.Context, set *Set, r Result, more [2]int64) error {
	stored, exists := set.stored(r)
	if !exists {
		return nil
	}
	status := statusOf(r, stored, s.options.Now(), more)
	if reflect.DeepEqual(status, stored) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": r.UID}, "status": statusPatch(status)})
	if err != nil {
		return err
	}
	_, err = s.options.Client.Dynamic.Resource(r.Resource).Namespace(r.Namespace).
		Patch(ctx, r.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it has gone
	}
	return err
}

// stored returns the status that the API server has, as far as is known here.
func (s *Set) stored(r Result) (v1alpha1.VerificationPolicyStatus, bool) {
	var status v1alpha1.VerificationPolicyStatus
	objects := s.mirrors[r.Resource.GroupResource()]
	if objects == nil {
		return status, false
	}
	o, exists := objects.get(objectKey(r.Namespace, r.Name))
	if !exists || o.uid != r.UID {
		return status, false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.status, &status); err != nil {
		return v1alpha1.VerificationPolicyStatus{}, true // somebody wrote another: it is written over
	}
	return status, true
}

// statusOf returns the status that an object should have. The time of its
// condition is that of the last transition.
func statusOf(r Result, stored v1alpha1.VerificationPolicyStatus, now time.Time, more [2]int64) v1alpha1.VerificationPolicyStatus {
	status := *stored.DeepCopy()
	status.ObservedGeneration = r.Generation
	status.Weakenings = r.Weakenings
	status.Matched += more[0]
	status.Denied += more[1]
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: r.Generation,
		LastTransitionTime: metav1.NewTime(now.UTC().Truncate(time.Second)), Reason: r.Reason, Message: r.Message,
	}
	if r.Ready {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&status.Conditions, condition)
	return status
}

// statusPatch writes out what a merge patch would otherwise leave as it is.
func statusPatch(status v1alpha1.VerificationPolicyStatus) map[string]any {
	patch := map[string]any{
		"observedGeneration": status.ObservedGeneration, "conditions": status.Conditions, "weakenings": nil,
	}
	if len(status.Weakenings) > 0 {
		patch["weakenings"] = status.Weakenings
	}
	if status.Matched > 0 {
		patch["matched"] = status.Matched
	}
	if status.Denied > 0 {
		patch["denied"] = status.Denied
	}
	return patch
}
