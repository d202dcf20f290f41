// Package registration keeps the webhook configurations by which the API server
// asks Bonafide: it creates them, puts back what was edited or deleted by hand,
// and keeps the authorities of the serving certificate in them, and in the
// Gatekeeper Providers that carry the label bonafide.dev/inject-ca: "true".
//
// Whoever may delete a webhook configuration may switch verification off; while
// a leader runs, that lasts for a moment alone. To uninstall, stop the Deployment
// first, then delete the configurations: with failurePolicy Fail and nobody who
// answers, no Pod starts until they are gone.
//
// Only what Bonafide sets is compared: all webhooks of its configurations, and of
// a Provider spec.caBundle. Others may add labels and annotations.
//
// It needs these rights in the cluster:
//
//	mutatingwebhookconfigurations.admissionregistration.k8s.io     create
//	mutatingwebhookconfigurations.admissionregistration.k8s.io     get, list, watch, update   (resourceNames: the configuration)
//	validatingwebhookconfigurations.admissionregistration.k8s.io   create
//	validatingwebhookconfigurations.admissionregistration.k8s.io   get, list, watch, update   (resourceNames: the configuration)
//	providers.externaldata.gatekeeper.sh                           list, patch
package registration

import (
	"context"
	"errors"
	"log/slog"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// The reasons of Events about what was registered.
const (
	ReasonRegistered = "WebhookRegistered" // created
	ReasonUpdated    = "WebhookUpdated"    // brought to what this version registers, when this replica began to lead
	ReasonRepaired   = "WebhookRepaired"   // edited or deleted by someone, and put back
	ReasonContested  = "WebhookContested"  // the same again and again: another controller insists
)

const (
	// requestTimeout bounds one look at everything, so that a silent API server
	// does not stop the ticks.
	requestTimeout = 30 * time.Second
	// restAfterChange is how long an edit may stand that follows another, and
	// how often at most we write what another controller insists to change.
	restAfterChange = time.Second
)

// Recorder takes Events. It must return at once and not fail.
type Recorder interface {
	Event(ctx context.Context, about corev1.ObjectReference, kind, reason, message string)
}

// Options are what a registration needs.
type Options struct {
	Client *kube.Client // required
	// Config returns what is to be registered. It is asked at each look, and what
	// it returns is not changed. Either may be nil: not registered, nor deleted.
	Config func() (*admission.MutatingWebhookConfiguration, *admission.ValidatingWebhookConfiguration)
	// CABundle returns the PEM that goes into every webhook and Provider. While it
	// is empty nothing is written. Nil: Config's own bundles stay, and Providers
	// are left alone.
	CABundle func() []byte
	Log      *slog.Logger // required
	Events   Recorder     // nil: none
	// Ticks has it look again: at what a lost watch missed, and at Providers,
	// which are not watched. Ten seconds are a good period.
	Ticks <-chan time.Time
	// Changed has it look at once, such as when CABundle changed.
	Changed <-chan struct{}
}

// Run keeps everything registered until ctx ends. It is for the leader alone.
// Faults are logged and tried again; the error is one of the options.
func Run(ctx context.Context, o Options) error {
	if o.Client == nil || o.Config == nil || o.Log == nil {
		return errors.New("registration: expected a client, a configuration and a log")
	}
	r := &registrar{options: o, written: map[string]string{}, known: map[string]bool{}}
	kube.Duty{
		Client: o.Client, Objects: r.objects(), Look: r.look, Ticks: o.Ticks, Changed: o.Changed, Rest: restAfterChange,
		Faults: &kube.Faults{Log: o.Log, Duty: "keep the registration"},
	}.Follow(ctx)
	return nil
}

// A registrar is one time of leading.
type registrar struct {
	options Options
	known   map[string]bool   // by kind: it was as it should be before
	written map[string]string // by kind: the bundle that was last in it, as JSON has it
	contest contest
}

// objects are the configurations, which are watched. Their names do not change.
func (r *registrar) objects() []kube.Object {
	var all []kube.Object
	mutating, validating := r.options.Config()
	if mutating != nil {
		all = append(all, kube.Object{Resource: admission.SchemeGroupVersion.WithResource("mutatingwebhookconfigurations"), Name: mutating.Name})
	}
	if validating != nil {
		all = append(all, kube.Object{Resource: admission.SchemeGroupVersion.WithResource("validatingwebhookconfigurations"), Name: validating.Name})
	}
	return all
}

// look compares everything once. A fault of one object does not stop the others.
func (r *registrar) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var bundle []byte
	if r.options.CABundle != nil {
		if bundle = r.options.CABundle(); len(bundle) == 0 {
			return errors.New("expected the authorities of the certificate, got none; beside a mounted certificate they are the file ca.crt")
		}
	}
	var errs []error
	for _, c := range r.configurations(bundle) {
		errs = append(errs, r.keep(ctx, c))
	}
	if bundle != nil {
		errs = append(errs, r.inject(ctx, bundle))
	}
	return errors.Join(errs...)
}
