package registration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/registration"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestR44ControllerThatInsistsIsOutlasted has an opponent that weakens the webhook
// each time it is put back.
func TestR44ControllerThatInsistsIsOutlasted(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	hooks := s.client.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	edits := 0
	began := time.Now()
	stop := kubetest.Run(t, func(ctx context.Context) {
		for ctx.Err() == nil {
			have, err := s.validating(ctx)
			if err != nil || *have.Webhooks[0].FailurePolicy == admission.Ignore {
				continue
			}
			have.Webhooks[0].FailurePolicy = new(admission.Ignore)
			if _, err := hooks.Update(ctx, have, metav1.UpdateOptions{FieldManager: "insists"}); err == nil {
				edits++
			}
		}
	})
	contested := "event ValidatingWebhookConfiguration/" + s.name + " Warning " + registration.ReasonContested + ": a controller that is to leave it alone edited it again and again"
	rig.Eventually(t, "the contest is told", func(context.Context) error {
		if n := s.journal.Count(contested); n < 3 {
			return fmt.Errorf("expected some Events, got %d", n)
		}
		return nil
	})
	stop()
	took := time.Since(began)
	said := s.journal.Said()
	repairs := s.journal.Count("Warning " + registration.ReasonRepaired)
	t.Logf("%d edits, %d and %d Events, in %s", edits, repairs, s.journal.Count(contested), took)
	if repairs != 4 {
		t.Errorf("want four Events before it is a contest, got %d", repairs)
	}
	if most := int(took/time.Second) + 3; edits > most {
		t.Errorf("in %s: want at most %d edits put back, got %d", took, most, edits)
	}
	if n := strings.Count(said, "someone changes a webhook configuration again and again"); n != 1 {
		t.Errorf("want one line of the log for the contest, got %d", n)
	}
	if !strings.Contains(said, `put back: webhooks[validate.bonafide.dev].failurePolicy (written by "insists")`) {
		t.Errorf("want the Events to name who wrote it, got\n%s", said)
	}
	s.holds(t, "in the end it is as it should be", func(have *admission.ValidatingWebhookConfiguration) error {
		if *have.Webhooks[0].FailurePolicy != admission.Fail {
			return errors.New("expected failurePolicy Fail")
		}
		return nil
	})
}

// TestR44EditsAreSeenWhereWatchesAreCut edits without a tick, through connections
// that are cut before and after.
func TestR44EditsAreSeenWhereWatchesAreCut(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	s.stop()
	proxy := kubetest.StartProxy(t, s.client.Config)
	direct := s.client
	s.client = kubetest.Client(t, proxy.Config)
	s.lead(t)
	s.client = direct
	for i := range 3 {
		s.ticks <- time.Time{} // it has looked
		proxy.Cut()
		s.edit(t, func(c *admission.ValidatingWebhookConfiguration) {
			c.Webhooks[0].TimeoutSeconds = new(int32(20 + i))
		})
		proxy.Cut()
		s.holds(t, "put back", func(have *admission.ValidatingWebhookConfiguration) error {
			if got := *have.Webhooks[0].TimeoutSeconds; got != 10 {
				return fmt.Errorf("expected 10 s, got %d", got)
			}
			return nil
		})
	}
}

func TestRegistrationWithoutRightsSaysSoOnce(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	s.stop()
	admin := s.client
	s.client = kubetest.Client(t, shared.Cluster(t).ConfigFor(t, "alice"))
	s.lead(t)
	s.client = admin
	for range 5 {
		s.ticks <- time.Time{}
	}
	for text, want := range map[string]int{
		"cannot keep the registration": 1, "cannot watch mutatingwebhookconfigurations": 1, "cannot watch validatingwebhookconfigurations": 1,
	} {
		if got := s.journal.Count(text); got != want {
			t.Errorf("want %q %d times, got %d in\n%s", text, want, got, s.journal.Said())
		}
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "Gatekeeper Providers"} {
		if !strings.Contains(s.journal.Said(), kind) {
			t.Errorf("a fault of one object does not hide the others: want %s in\n%s", kind, s.journal.Said())
		}
	}
}

// TestOptionsAreChecked needs no cluster.
func TestOptionsAreChecked(t *testing.T) {
	if err := registration.Run(t.Context(), registration.Options{}); err == nil {
		t.Error("want an error for no options")
	}
}

// TestSpreadAsksEveryWebhook holds that a certificate of a new authority waits for
// each of the webhooks to trust it.
func TestSpreadAsksEveryWebhook(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	s.stop()
	spread := registration.Spread(s.client, s.name)
	if err := spread(t.Context(), bundleOf(t)); err != nil {
		t.Errorf("want every webhook to trust it, got %v", err)
	}
	if err := spread(t.Context(), []byte("another")); err == nil {
		t.Error("want an error for a bundle that none has")
	}
	s.edit(t, func(c *admission.ValidatingWebhookConfiguration) { c.Webhooks[1].ClientConfig.CABundle = nil })
	if err := spread(t.Context(), bundleOf(t)); err == nil {
		t.Error("want an error where one webhook does not have it")
	}
	if err := registration.Spread(s.client, "none")(t.Context(), bundleOf(t)); err == nil {
		t.Error("want an error where nothing is registered")
	}
}
