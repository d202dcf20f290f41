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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	informers "k8s.io/client-go/informers/admissionregistration/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// The reasons of Events about what was registered.
const (
	ReasonRegistered = "WebhookRegistered" // created
	ReasonUpdated    = "WebhookUpdated"    // brought to what this version registers, when this replica began to lead
	ReasonRepaired   = "WebhookRepaired"   // edited or deleted by someone, and put back
)

const (
	// requestTimeout bounds one look at everything, so that a silent API server
	// does not stop the ticks.
	requestTimeout = 30 * time.Second
	// writePause follows each write: a controller that insists on another content
	// does not make us write as fast as it does.
	writePause = time.Second
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
	r := &registrar{options: o, written: map[string][]byte{}, known: map[string]bool{}}
	poke := make(chan struct{}, 1)
	stopped := r.watch(ctx, poke)
	defer stopped()
	for {
		wrote, err := r.look(ctx)
		if ctx.Err() == nil {
			r.report(ctx, err)
		}
		if wrote {
			pause(ctx, writePause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.Ticks:
		case <-o.Changed:
		case <-poke:
		}
	}
}

// A registrar is one time of leading.
type registrar struct {
	options  Options
	known    map[string]bool   // by object: it was as it should be before
	written  map[string][]byte // by object: the bundle that was last in it
	reported string
}

// look compares everything once. A fault of one object does not stop the others.
func (r *registrar) look(ctx context.Context) (wrote bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var bundle []byte
	if r.options.CABundle != nil {
		if bundle = r.options.CABundle(); len(bundle) == 0 {
			return false, errors.New("wait for a certificate")
		}
	}
	var errs []error
	for _, s := range r.configurations(bundle) {
		changed, err := r.keep(ctx, s, bundle)
		wrote = wrote || changed
		errs = append(errs, err)
	}
	if bundle != nil {
		changed, err := r.inject(ctx, bundle)
		wrote = wrote || changed
		errs = append(errs, err)
	}
	return wrote, errors.Join(errs...)
}

// watch pokes at every change of the configurations, until the function that it
// returns has stopped it.
func (r *registrar) watch(ctx context.Context, poke chan<- struct{}) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running []<-chan struct{}
	for _, informer := range r.informers() {
		done := make(chan struct{})
		running = append(running, done)
		go func() {
			defer close(done)
			follow(ctx, informer, poke)
		}()
	}
	return func() {
		cancel()
		for _, done := range running {
			<-done
		}
	}
}

func (r *registrar) informers() []cache.SharedIndexInformer {
	named := func(name string) func(*metav1.ListOptions) {
		return func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}
	}
	var all []cache.SharedIndexInformer
	mutating, validating := r.options.Config()
	if mutating != nil {
		all = append(all, informers.NewFilteredMutatingWebhookConfigurationInformer(r.options.Client.Typed, 0, cache.Indexers{}, named(mutating.Name)))
	}
	if validating != nil {
		all = append(all, informers.NewFilteredValidatingWebhookConfigurationInformer(r.options.Client.Typed, 0, cache.Indexers{}, named(validating.Name)))
	}
	return all
}

func follow(ctx context.Context, informer cache.SharedIndexInformer, poke chan<- struct{}) {
	notify := func() {
		select {
		case poke <- struct{}{}:
		default:
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}); err != nil {
		return // only an informer that has stopped refuses
	}
	synced := make(chan struct{})
	go func() { // what happened before the watch began gives no notice
		defer close(synced)
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			notify()
		}
	}()
	informer.RunWithContext(ctx)
	<-synced
}

// report logs an error that is not the last one again, and when it is over.
func (r *registrar) report(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == r.reported {
		return
	}
	r.reported = text
	if err == nil {
		r.options.Log.InfoContext(ctx, "the registration is in order again")
		return
	}
	r.options.Log.ErrorContext(ctx, "cannot keep the registration", "error", text)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
