package registration

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxConflicts bounds the tries of one write.
const maxConflicts = 5

// A side is one of the two configurations, as the steps of keeping it.
type side struct {
	kind, name string
	create     func(ctx context.Context) error
	// read returns the fields that differ from what is to be, and a write that
	// puts them right over the version that was read.
	read func(ctx context.Context) (difference, error)
}

type difference struct {
	fields  []string // sorted; without those of caBundle
	bundles [][]byte // caBundles that differ
	labels  bool     // labels or annotations of ours are missing
	write   func(ctx context.Context) error
}

func (d difference) none() bool { return len(d.fields) == 0 && len(d.bundles) == 0 && !d.labels }

// configurations are both sides with the bundle in them.
func (r *registrar) configurations(bundle []byte) []side {
	mutating, validating := r.options.Config()
	var sides []side
	if mutating != nil {
		sides = append(sides, r.mutating(mutating.DeepCopy(), bundle))
	}
	if validating != nil {
		sides = append(sides, r.validating(validating.DeepCopy(), bundle))
	}
	return sides
}

func (r *registrar) mutating(want *admission.MutatingWebhookConfiguration, bundle []byte) side {
	for i := range want.Webhooks {
		setBundle(&want.Webhooks[i].ClientConfig, bundle)
		defaultMutating(&want.Webhooks[i])
	}
	client := r.options.Client.Typed.AdmissionregistrationV1().MutatingWebhookConfigurations()
	return side{
		kind: "MutatingWebhookConfiguration", name: want.Name,
		create: func(ctx context.Context) error {
			_, err := client.Create(ctx, want, metav1.CreateOptions{})
			return err
		},
		read: func(ctx context.Context) (difference, error) {
			have, err := client.Get(ctx, want.Name, metav1.GetOptions{})
			if err != nil {
				return difference{}, err
			}
			for i := range have.Webhooks {
				defaultMutating(&have.Webhooks[i])
			}
			d := difference{labels: adopt(&have.ObjectMeta, want.ObjectMeta)}
			d.fields, d.bundles = compare(have.Webhooks, want.Webhooks, func(w *admission.MutatingWebhook) (string, *admission.WebhookClientConfig) {
				return w.Name, &w.ClientConfig
			})
			have.Webhooks = want.Webhooks
			d.write = func(ctx context.Context) error {
				_, err := client.Update(ctx, have, metav1.UpdateOptions{})
				return err
			}
			return d, nil
		},
	}
}

func (r *registrar) validating(want *admission.ValidatingWebhookConfiguration, bundle []byte) side {
	for i := range want.Webhooks {
		setBundle(&want.Webhooks[i].ClientConfig, bundle)
		defaultValidating(&want.Webhooks[i])
	}
	client := r.options.Client.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	return side{
		kind: "ValidatingWebhookConfiguration", name: want.Name,
		create: func(ctx context.Context) error {
			_, err := client.Create(ctx, want, metav1.CreateOptions{})
			return err
		},
		read: func(ctx context.Context) (difference, error) {
			have, err := client.Get(ctx, want.Name, metav1.GetOptions{})
			if err != nil {
				return difference{}, err
			}
			for i := range have.Webhooks {
				defaultValidating(&have.Webhooks[i])
			}
			d := difference{labels: adopt(&have.ObjectMeta, want.ObjectMeta)}
			d.fields, d.bundles = compare(have.Webhooks, want.Webhooks, func(w *admission.ValidatingWebhook) (string, *admission.WebhookClientConfig) {
				return w.Name, &w.ClientConfig
			})
			have.Webhooks = want.Webhooks
			d.write = func(ctx context.Context) error {
				_, err := client.Update(ctx, have, metav1.UpdateOptions{})
				return err
			}
			return d, nil
		},
	}
}

func setBundle(c *admission.WebhookClientConfig, bundle []byte) {
	if bundle != nil {
		c.CABundle = bundle
	}
}

// adopt adds the labels and annotations that are ours, and reports whether any
// was missing or other.
func adopt(have *metav1.ObjectMeta, want metav1.ObjectMeta) bool {
	labels, annotations := merge(&have.Labels, want.Labels), merge(&have.Annotations, want.Annotations)
	return labels || annotations
}

func merge(have *map[string]string, want map[string]string) (changed bool) {
	for k, v := range want {
		if (*have)[k] == v {
			continue
		}
		if *have == nil {
			*have = map[string]string{}
		}
		(*have)[k], changed = v, true
	}
	return changed
}

// keep makes one configuration what it is to be.
func (r *registrar) keep(ctx context.Context, s side, bundle []byte) (wrote bool, err error) {
	for range maxConflicts {
		var d difference
		if d, err = s.read(ctx); apierrors.IsNotFound(err) {
			if err = s.create(ctx); err == nil {
				r.created(ctx, s, bundle)
				return true, nil
			}
			if apierrors.IsAlreadyExists(err) {
				continue
			}
			break
		}
		if err != nil || d.none() {
			break
		}
		if err = d.write(ctx); err == nil {
			r.repaired(ctx, s, d, bundle)
			return true, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("%s %q: %w", s.kind, s.name, err)
	}
	r.asItShouldBe(s, bundle)
	return false, nil
}

func (r *registrar) asItShouldBe(s side, bundle []byte) {
	r.known[s.kind] = true
	r.written[s.kind] = bundle
}

func (r *registrar) created(ctx context.Context, s side, bundle []byte) {
	reason, kind, message := ReasonRegistered, corev1.EventTypeNormal, "created"
	if r.known[s.kind] {
		reason, kind, message = ReasonRepaired, corev1.EventTypeWarning, "someone deleted it; created again: stop the Deployment before uninstalling"
	}
	r.asItShouldBe(s, bundle)
	r.options.Log.WarnContext(ctx, "created a webhook configuration", "kind", s.kind, "name", s.name, "reason", reason)
	r.event(ctx, s, kind, reason, message)
}

// repaired tells a rotation's new bundle, which is our own doing, from an edit.
func (r *registrar) repaired(ctx context.Context, s side, d difference, bundle []byte) {
	edited := slices.Clone(d.fields)
	for _, have := range d.bundles {
		if !bytes.Equal(have, r.written[s.kind]) {
			edited = append(edited, "webhooks[*].clientConfig.caBundle")
			break
		}
	}
	if d.labels {
		edited = append(edited, "metadata")
	}
	before := r.known[s.kind]
	r.asItShouldBe(s, bundle)
	if len(edited) == 0 {
		r.options.Log.InfoContext(ctx, "wrote the new authorities into a webhook configuration", "kind", s.kind, "name", s.name)
		return
	}
	names := strings.Join(edited, ", ")
	if !before {
		r.options.Log.WarnContext(ctx, "brought a webhook configuration up to date", "kind", s.kind, "name", s.name, "fields", names)
		r.event(ctx, s, corev1.EventTypeNormal, ReasonUpdated, "brought up to date: "+names)
		return
	}
	r.options.Log.WarnContext(ctx, "put back a webhook configuration that someone edited", "kind", s.kind, "name", s.name, "fields", names)
	r.event(ctx, s, corev1.EventTypeWarning, ReasonRepaired, "someone edited it; put back: "+names)
}

func (r *registrar) event(ctx context.Context, s side, kind, reason, message string) {
	if r.options.Events == nil {
		return
	}
	about := corev1.ObjectReference{APIVersion: admission.SchemeGroupVersion.String(), Kind: s.kind, Name: s.name}
	r.options.Events.Event(ctx, about, kind, reason, message)
}
