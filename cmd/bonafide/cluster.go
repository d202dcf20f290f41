package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/cloudkeys"
	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
	"github.com/bonafide-dev/bonafide/internal/kube/events"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/kube/registration"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
)

// clusterOptions are the flags of serve that need a cluster.
type clusterOptions struct {
	kubeconfig    string
	service       string
	webhookURL    string
	noRegister    bool
	only, exclude []string
	allowedUsers  []string
	pullSecrets   []string
	auditInterval time.Duration
}

func (o *clusterOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` of the cluster (default: the Pod's own service account, in a cluster)")
	f.StringVar(&o.service, "service", "bonafide", "own Service in the system namespace, by which the API server calls the webhooks")
	f.StringVar(&o.webhookURL, "webhook-url", "", "`URL` by which the API server calls the webhooks, in place of --service, for a server outside the cluster")
	f.BoolVar(&o.noRegister, "no-register", false, "leave the webhook configurations to others")
	f.StringArrayVar(&o.only, "only-namespaces", nil, "register for the namespace `NS` alone; repeatable")
	f.StringArrayVar(&o.exclude, "exclude-namespaces", nil, "register for all namespaces but `NS`; repeatable")
	f.StringArrayVar(&o.allowedUsers, "allowed-user", nil, "`USER` who may call /checkimages (default: Kyverno's controllers); repeatable")
	f.StringArrayVar(&o.pullSecrets, "pull-secret", nil, "pull secret `NS/NAME` of the operator, for every image; repeatable")
	f.DurationVar(&o.auditInterval, "audit-interval", time.Hour, "how often running workloads are decided anew; 0 never")
}

// connect returns a client of the cluster, or nil if there is none.
func (o clusterOptions) connect() (*kube.Client, error) {
	if o.kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, nil //nolint:nilnil // no cluster is a way to run
	}
	client, err := kube.Connect(o.kubeconfig, "bonafide/"+versionText())
	if errors.Is(err, kube.ErrNoCluster) {
		return nil, nil //nolint:nilnil // as above: a Pod without a service account's token
	}
	return client, err
}

// cluster is what serve has in a cluster beside answering.
type cluster struct {
	client       *kube.Client
	credentials  *credentials.Credentials
	policies     *policies.Source
	certificates *certificates.Keeper // nil: a certificate from files
	events       *events.Recorder
	auditor      *audit.Auditor
	swept        atomic.Pointer[audit.Report] // the last sweep; nil while another replica leads
	// What is registered; nil: nothing.
	mutating   *admission.MutatingWebhookConfiguration
	validating *admission.ValidatingWebhookConfiguration
	identity   string // of this replica
	// ruled holds a token if the rules have changed since the last sweep began.
	ruled chan struct{}
	// settled is closed once policies are loaded.
	settled  chan struct{}
	settling sync.Once
}

// newCluster returns what needs nothing of the service.
func newCluster(client *kube.Client, log *slog.Logger) (*cluster, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this replica: %w", err)
	}
	identity := name + "-" + rand.Text()[:8] // two of one machine differ
	recorder, err := events.New(events.Options{Client: client, Component: "bonafide", Instance: identity, Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	return &cluster{
		client: client, credentials: credentials.New(client.Typed, time.Now), events: recorder, identity: identity, settled: make(chan struct{}), ruled: make(chan struct{}, 1),
	}, nil
}

// openCluster makes what follows the cluster: nothing is decided before its
// policies have come.
func (v *service) openCluster(ctx context.Context, o policyset.Options) error {
	var err error
	if webhooks, wanted := v.options.webhooks(); wanted {
		if v.cluster.mutating, v.cluster.validating, err = webhooks.Objects(); err != nil {
			return err
		}
	} else {
		v.log.WarnContext(ctx, "webhooks are not registered by this server; bonafide webhook-config prints them")
	}
	v.cluster.policies, err = policies.New(policies.Options{
		Client: v.cluster.client, Dialects: o.Dialects, Revision: o.Revision, Now: time.Now, Log: v.log,
		Changed:  func(set policies.Set) { v.clusterChanged(ctx, set) },
		Required: v.requiredKinds(ctx), Counts: v.cluster.counts,
	})
	if err != nil {
		return err
	}
	v.cluster.auditor, err = audit.New(audit.Options{
		Client: v.cluster.client, Decider: v.engine, Sources: v.client, Namespaces: v.cluster.policies, Now: time.Now, Log: v.log,
		Metrics: v.metrics, Events: v.cluster.events,
	})
	return err
}

// requiredKinds are those without which a cluster's policies are not complete:
// our own. Beside policies from files the cluster's are optional.
func (v *service) requiredKinds(ctx context.Context) []schema.GroupResource {
	if len(v.options.policies) > 0 {
		v.log.InfoContext(ctx, "policies come from files; the kinds of "+v1alpha1.Group+" need not be installed in the cluster, and count where they are")
		return nil
	}
	return policies.Definitions([]dialect.Dialect{&native.Dialect{}})
}

// counts are the figures of a policy in the last sweep of this leader.
func (c *cluster) counts(kind, namespace, name string) (matched, denied int64, known bool) {
	report := c.swept.Load()
	if report == nil {
		return 0, 0, false
	}
	matched, denied = report.Counts(kind, namespace, name)
	return matched, denied, true
}

// sharedCertificate waits for the certificate that the replicas share.
func (v *service) sharedCertificate(ctx context.Context) (*certificates.Keeper, error) {
	o := certificates.Options{
		Client: v.cluster.client, Namespace: v.options.namespace(), Hosts: v.options.sharedHosts(), Now: time.Now, Log: v.log, Events: v.cluster.events,
		// Also where somebody else registers the webhooks, by that name.
		Spread: registration.Spread(v.cluster.client, server.RegistrationName),
	}
	keeper, err := certificates.New(o)
	if err != nil {
		return nil, err
	}
	v.cluster.certificates = keeper
	return keeper, keeper.Start(ctx)
}

// namespace is our own.
func (o serveOptions) namespace() string {
	for _, name := range []string{o.systemNamespace, os.Getenv("POD_NAMESPACE")} {
		if name != "" {
			return name
		}
	}
	return defaultSystemNamespace
}

// sharedHosts are the names under which any replica may be called.
func (o serveOptions) sharedHosts() []string {
	service := o.service + "." + o.namespace() + ".svc"
	hosts := []string{service, service + ".cluster.local", "localhost", "127.0.0.1", "::1"}
	if u, err := url.Parse(o.webhookURL); err == nil && u.Hostname() != "" && !slices.Contains(hosts, u.Hostname()) {
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

// webhooks says how the API server reaches this server; false if nobody is to
// tell it.
func (o serveOptions) webhooks() (server.WebhookConfig, bool) {
	c := server.WebhookConfig{
		URL: o.webhookURL, SystemNamespace: o.namespace(), OnlyNamespaces: o.only, ExcludeNamespaces: o.exclude, ObserveOnly: o.observeOnly,
	}
	if o.webhookURL == "" {
		c.ServiceNamespace, c.ServiceName = o.namespace(), o.service
	}
	return c, !o.noRegister && (o.webhookURL != "" || o.kubeconfig == "")
}

// keychain finds credentials: the Pod's own first, then the operator's.
func (v *service) keychain() (registry.Keychain, error) {
	secrets := registry.PullSecrets{Secrets: registry.SecretGetterFunc(v.pullSecret)}
	if v.cluster != nil {
		secrets.ServiceAccount = v.cluster.credentials.ServiceAccount
	}
	return operatorKeychain(secrets, v.options.pullSecrets, v.options.cloud)
}

// operatorKeychain adds to what Pods bring what the flags --pull-secret and
// --cloud-credentials name, and the Docker configuration of this machine.
func operatorKeychain(secrets registry.PullSecrets, pullSecrets, clouds []string) (registry.Keychain, error) {
	for _, s := range pullSecrets {
		namespace, name, found := strings.Cut(s, "/")
		if !found || namespace == "" || name == "" {
			return nil, fmt.Errorf("--pull-secret: expected NAMESPACE/NAME, got %q", s)
		}
		secrets.Operator = append(secrets.Operator, evidence.SecretName{Namespace: namespace, Name: name})
	}
	all := []registry.Keychain{secrets, registry.NewDockerConfig("", time.Now)}
	if len(clouds) > 0 {
		cloud, err := cloudkeys.New(clouds, time.Now)
		if err != nil {
			return nil, fmt.Errorf("--cloud-credentials: %w", err)
		}
		all = append(all, cloud)
	}
	return registry.Multi(all...), nil
}

// hostsFile reads the file that --registries names; nil if it names none.
func (o serveOptions) hostsFile(ctx context.Context, log *slog.Logger) (*registry.Hosts, error) {
	if o.registries == "" {
		return nil, nil //nolint:nilnil // none is a setting
	}
	hosts, err := registry.ReadHosts(o.registries, time.Now, func(err error) {
		log.ErrorContext(ctx, "settings of registries do not load; the last good ones stay", slog.String("error", err.Error()))
	})
	if err != nil {
		return nil, fmt.Errorf("--registries: %w", err)
	}
	return hosts, nil
}

// glassBroken leaves an Event at the exception that was used. The time in it has
// each use be an Event of its own, also of an object that is made again by the
// same name: Events that say the same are counted as one.
func (c *cluster) glassBroken(ctx context.Context, exception policy.Origin, object string) {
	about := corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion, Kind: exception.Kind, Name: exception.Name}
	c.events.Event(ctx, about, corev1.EventTypeWarning, "BreakGlassUsed",
		fmt.Sprintf("policies were lifted from %s at %s", object, time.Now().UTC().Format(time.RFC3339Nano)))
}
