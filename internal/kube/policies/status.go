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

// fieldManager names this program to the API server.
const fieldManager = "bonafide"

// KeepStatus writes the status of the native kinds until ctx ends: after each
// set, and at intervals their figures. The replica that leads calls it; it may be
// called again after it returned. It writes only what differs from what the API
// server has.
func (s *Source) KeepStatus(ctx context.Context) {
	ticker := time.NewTicker(s.options.StatusInterval)
	defer ticker.Stop()
	counted := false // figures are written at ticks alone: sets may follow one another at once
	for {
		s.mu.Lock()
		set, renewed := s.set, s.renewed // the set that was, and when there is another
		s.mu.Unlock()
		if set != nil {
			if err := s.writeStatus(ctx, set, counted); err != nil && ctx.Err() == nil {
				s.options.Log.WarnContext(ctx, "the status of policies could not be written; it is tried again", slog.String("error", err.Error()))
			}
		}
		counted = false
		select {
		case <-ctx.Done():
			return
		case <-renewed:
		case <-ticker.C:
			counted = true
		}
	}
}

// counts are the figures of a policy; nil: nobody knows.
type counts struct{ matched, denied int64 }

// counts returns the figures for an object that has any.
func (s *Source) counts(r Result) *counts {
	if s.options.Counts == nil || r.Kind != v1alpha1.ClusterVerificationPolicyKind && r.Kind != v1alpha1.VerificationPolicyKind {
		return nil
	}
	matched, denied, known := s.options.Counts(r.Kind, r.Namespace, r.Name)
	if !known {
		return nil
	}
	return &counts{matched, denied}
}

// writeStatus writes what differs. It goes on after an error.
func (s *Source) writeStatus(ctx context.Context, set *Set, counted bool) error {
	var failed []error
	for _, r := range set.Results {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.Resource.Group != v1alpha1.Group {
			continue // foreign kinds belong to others
		}
		var figures *counts
		if counted {
			figures = s.counts(r)
		}
		if err := s.writeOne(ctx, set, r, figures); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", r, err))
		}
	}
	return errors.Join(failed...)
}

// writeOne writes the status of one object, by a patch that names the object by
// its UID: one that was made anew since has a status of its own.
func (s *Source) writeOne(ctx context.Context, set *Set, r Result, figures *counts) error {
	stored, hasFigures, exists := set.stored(r)
	if !exists {
		return nil
	}
	status := statusOf(r, stored, s.options.Now(), figures)
	if reflect.DeepEqual(status, stored) && (figures == nil || hasFigures) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": r.UID}, "status": statusPatch(status, figures)})
	if err != nil {
		return err
	}
	_, err = s.dynamic.Resource(r.Resource).Namespace(r.Namespace).
		Patch(ctx, r.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it has gone
	}
	return err
}

// stored returns the status that the API server has, as far as is known here, and
// whether it has figures: a policy that matches nothing has a zero.
func (s *Set) stored(r Result) (status v1alpha1.VerificationPolicyStatus, hasFigures, exists bool) {
	objects := s.mirrors[r.Resource.GroupResource()]
	if objects == nil {
		return status, false, false
	}
	o, exists := objects.get(objectKey(r.Namespace, r.Name))
	if !exists || o.uid != r.UID {
		return status, false, false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.status, &status); err != nil {
		return v1alpha1.VerificationPolicyStatus{}, false, true // somebody wrote another: it is written over
	}
	return status, o.status["matched"] != nil && o.status["denied"] != nil, true
}

// statusOf returns the status that an object should have. The time of its
// condition is that of the last transition.
func statusOf(r Result, stored v1alpha1.VerificationPolicyStatus, now time.Time, figures *counts) v1alpha1.VerificationPolicyStatus {
	status := *stored.DeepCopy()
	status.ObservedGeneration = r.Generation
	status.Weakenings = r.Weakenings
	if figures != nil {
		status.Matched, status.Denied = figures.matched, figures.denied
	}
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
// Without figures it leaves those that are there.
func statusPatch(status v1alpha1.VerificationPolicyStatus, figures *counts) map[string]any {
	patch := map[string]any{
		"observedGeneration": status.ObservedGeneration, "conditions": status.Conditions, "weakenings": nil,
	}
	if len(status.Weakenings) > 0 {
		patch["weakenings"] = status.Weakenings
	}
	if figures != nil {
		patch["matched"], patch["denied"] = figures.matched, figures.denied
	}
	return patch
}
