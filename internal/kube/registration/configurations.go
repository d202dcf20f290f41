package registration

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"

	admission "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// maxConflicts bounds the tries of one write.
	maxConflicts = 5
	// fieldManager is who wrote what we write, as the API server notes it.
	fieldManager = "bonafide"
)

// A configuration is one of the two, as the steps of keeping it.
type configuration struct {
	kind, name string
	bundle     string // its authorities, as JSON has them
	create     func(ctx context.Context) error
	// read returns what differs from what is to be, and a write that puts it right
	// over the version that was read.
	read func(ctx context.Context) (difference, error)
}

type difference struct {
	fields  []string // sorted; without those of caBundle
	bundles []string // caBundles that differ
	labels  bool     // labels or annotations of ours are missing
	editor  string   // who wrote it last beside us, such as "kubectl-edit"; empty: nobody
	write   func(ctx context.Context) error
}

func (d difference) none() bool { return len(d.fields) == 0 && len(d.bundles) == 0 && !d.labels }

// configurations are both, with the bundle in them.
func (r *registrar) configurations(bundle []byte) []configuration {
	api := r.options.Client.Typed.AdmissionregistrationV1()
	mutating, validating := r.options.Config()
	var all []configuration
	if mutating != nil {
		want := mutating.DeepCopy()
		for i := range want.Webhooks {
			setBundle(&want.Webhooks[i].ClientConfig, bundle)
		}
		put := func(have *admission.MutatingWebhookConfiguration) { have.Webhooks = want.Webhooks }
		all = append(all, configurationOf("MutatingWebhookConfiguration", want, put, api.MutatingWebhookConfigurations()))
	}
	if validating != nil {
		want := validating.DeepCopy()
		for i := range want.Webhooks {
			setBundle(&want.Webhooks[i].ClientConfig, bundle)
		}
		put := func(have *admission.ValidatingWebhookConfiguration) { have.Webhooks = want.Webhooks }
		all = append(all, configurationOf("ValidatingWebhookConfiguration", want, put, api.ValidatingWebhookConfigurations()))
	}
	for i := range all {
		all[i].bundle = base64.StdEncoding.EncodeToString(bundle)
	}
	return all
}

func setBundle(c *admission.WebhookClientConfig, bundle []byte) {
	if bundle != nil {
		c.CABundle = bundle
	}
}

// client is what the API server's clients for both kinds have.
type client[C any] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (C, error)
	Create(ctx context.Context, c C, o metav1.CreateOptions) (C, error)
	Update(ctx context.Context, c C, o metav1.UpdateOptions) (C, error)
}

// configurationOf keeps one of kind C, into which put puts the webhooks that are
// wanted.
func configurationOf[C metav1.Object](kind string, want C, put func(have C), api client[C]) configuration {
	return configuration{
		kind: kind, name: want.GetName(),
		create: func(ctx context.Context) error {
			_, err := api.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager})
			return err
		},
		read: func(ctx context.Context) (difference, error) {
			have, err := api.Get(ctx, want.GetName(), metav1.GetOptions{})
			if err != nil {
				return difference{}, err
			}
			there, err := webhooks(have)
			if err != nil {
				return difference{}, err
			}
			wanted, err := webhooks(want)
			if err != nil {
				return difference{}, err
			}
			d := difference{labels: adopt(have, want), editor: editor(have)}
			d.fields, d.bundles = compare(there, wanted)
			put(have)
			d.write = func(ctx context.Context) error {
				_, err := api.Update(ctx, have, metav1.UpdateOptions{FieldManager: fieldManager})
				return err
			}
			return d, nil
		},
	}
}

// adopt adds the labels and annotations that are ours, and reports whether any
// was missing or other.
func adopt(have, want metav1.Object) bool {
	labels, missing := merge(have.GetLabels(), want.GetLabels())
	annotations, lacking := merge(have.GetAnnotations(), want.GetAnnotations())
	have.SetLabels(labels)
	have.SetAnnotations(annotations)
	return missing || lacking
}

func merge(have, want map[string]string) (all map[string]string, changed bool) {
	all = map[string]string{}
	maps.Copy(all, have)
	maps.Copy(all, want)
	return all, !maps.Equal(all, have)
}

// editor is who wrote the object last beside us.
func editor(have metav1.Object) string {
	var last metav1.ManagedFieldsEntry
	for _, entry := range have.GetManagedFields() {
		if entry.Manager != fieldManager && (last.Time == nil || !entry.Time.Before(last.Time)) {
			last = entry
		}
	}
	return last.Manager
}

// keep makes one configuration what it is to be.
func (r *registrar) keep(ctx context.Context, c configuration) (err error) {
	for range maxConflicts {
		var d difference
		if d, err = c.read(ctx); apierrors.IsNotFound(err) {
			if err = c.create(ctx); err == nil {
				r.created(ctx, c)
				return nil
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
			r.wrote(ctx, c, d)
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", c.kind, c.name, err)
	}
	r.asItShouldBe(c)
	return nil
}

func (r *registrar) asItShouldBe(c configuration) {
	r.known[c.kind] = true
	r.written[c.kind] = c.bundle
}
