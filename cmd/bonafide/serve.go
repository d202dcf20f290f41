package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/registry"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	policies           []string
	listen, metrics    string
	cert, key          string
	writeCA            string
	admissionClientCA  string
	clientCA           string
	gatekeeperTimeout  time.Duration
	checkimagesTimeout time.Duration
	trustedRoot        string
	insecure, allow    []string
	systemNamespace    string
	unmatched          string
	tagTTL             time.Duration
	observeOnly        bool
	cloud              []string
	registries         string
	logLevel           string
	logFormat          string

	clusterOptions
}

func newServe() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the webhooks, Gatekeeper's external data and Kyverno's extension calls",
		Long: `Serve all doors over TLS, on one port. Metrics and health are on the metrics port, over plain HTTP.

  /admission/mutate, /admission/validate     webhooks: pin what was verified, decide the final object
  /admission/policies                        webhook: refuse policies with mistakes when they are written
  /gatekeeper/…, /ratify/…, /validate        Gatekeeper's external data, in the place of Ratify or the cosign provider
  /checkimages                               Kyverno's calls of a Notation extension service

In a cluster, or with --kubeconfig, policies are read from the cluster, and the replicas share a certificate, register
the webhooks and audit what runs. Policies are also read from --policy, and again when they change; a change that does
not load keeps the last good policies and says so in the log and the metrics.
Without a cluster, Secrets in the same files serve as pull secrets, and without --tls-cert a certificate is made in
memory; --write-ca writes what the certificate verifies against.
$BONAFIDE_PLUGIN_DIR names the folder of Notation's verification plugins, $DEFAULT_TRUST_POLICY the trust policy
of calls to /checkimages that name none.`,
		Example: `  bonafide serve --policy policies/ --write-ca ca.crt
  bonafide webhook-config --url https://10.0.0.7:9443 --ca ca.crt | kubectl apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runServe(c.Context(), o, streams{c.OutOrStdout(), c.ErrOrStderr()})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.policies, "policy", nil, "policy `FILE|DIR`; repeatable")
	f.StringVar(&o.listen, "listen", ":9443", "address of the webhooks")
	f.StringVar(&o.metrics, "metrics-listen", ":8080", "address of /metrics, /healthz and /readyz")
	f.StringVar(&o.cert, "tls-cert", "", "certificate `FILE`, read again when it changes")
	f.StringVar(&o.key, "tls-key", "", "private key `FILE` of --tls-cert")
	f.StringVar(&o.writeCA, "write-ca", "", "`FILE` to write the CA of the certificate made in memory to")
	f.StringVar(&o.admissionClientCA, "admission-client-ca", "", "CA `FILE` that callers of the admission paths must have a certificate of; read again when it changes")
	f.StringVar(&o.clientCA, "client-ca", "", "CA `FILE` that callers of the Gatekeeper paths must have a certificate of; read again when it changes")
	f.DurationVar(&o.gatekeeperTimeout, "gatekeeper-timeout", server.DefaultGatekeeperTimeout, "how long Gatekeeper waits for an answer: at most its webhook's and the Provider's timeout")
	f.DurationVar(&o.checkimagesTimeout, "checkimages-timeout", server.DefaultCheckImagesTimeout, "how long Kyverno's webhook waits for an answer of /checkimages, at most 30s")
	f.StringVar(&o.trustedRoot, "trusted-root", "", "Sigstore trusted root `FILE` with the logs and authorities, or public-good for Sigstore's own as of our snapshot")
	f.StringArrayVar(&o.insecure, "insecure-registry", nil, "registry `HOST[:PORT]` with which plain HTTP or unverified TLS is spoken; repeatable")
	f.StringArrayVar(&o.allow, "allow-registry", nil, "registry `HOST[:PORT]` that may have a local address; repeatable")
	f.StringVar(&o.systemNamespace, "system-namespace", "", "own namespace, for the certificate's names (default $POD_NAMESPACE, else "+defaultSystemNamespace+")")
	f.StringVar(&o.unmatched, "unmatched", "warn", "images that no enforcing policy covers: allow, warn or deny")
	f.DurationVar(&o.tagTTL, "tag-ttl", engine.DefaultTagTTL, "how long a tag's digest is remembered where it is pinned, at most 60s; 0 never")
	f.BoolVar(&o.observeOnly, "observe-only", false, "decide and report at the webhooks, and neither refuse nor patch anything")
	f.StringSliceVar(&o.cloud, "cloud-credentials", nil, "clouds whose `NAMES` (aws, gcp, azure) give this machine credentials for their registries")
	f.StringVar(&o.registries, "registries", "", "`FILE` with authorities, client certificates and mirrors of registries (docs/registries.md); read again when it changes")
	o.flags(f)
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "json", "json or text")
	return c
}

// service is what serve wires together.
type service struct {
	options serveOptions
	log     *slog.Logger
	metrics *server.Metrics
	watcher *policyset.Watcher
	trust   *trust.Keeper
	rules   *rules
	notices *notices
	engine  *engine.Engine
	client  *registry.Client
	server  *server.Server
	cluster *cluster         // nil without one
	expires func() time.Time // the certificate of the doors
}

func runServe(ctx context.Context, o serveOptions, s streams) error {
	log, err := o.logger(s)
	if err != nil {
		return err
	}
	client, err := o.connect()
	if err != nil {
		return err
	}
	if client == nil && len(o.policies) == 0 {
		return hintError{errors.New("expected --policy or a cluster, got neither"), "name a file or folder with policies, or a --kubeconfig; bonafide policy check says whether policies load"}
	}
	v := &service{options: o, log: log, metrics: server.NewMetrics(slices.Concat(o.allow, o.insecure)...)}
	v.notices = newNotices(log, v.metrics)
	if client != nil {
		klog.SetSlogLogger(log) // what client-go says goes where the rest goes
		if v.cluster, err = newCluster(client, log); err != nil {
			return err
		}
	}
	if err := v.wire(ctx); err != nil {
		return err
	}
	defer v.client.Close()
	return v.run(ctx)
}

func (o serveOptions) logger(s streams) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: expected debug, info, warn or error, got %q", o.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(s.err, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(s.err, options)), nil
	}
	return nil, fmt.Errorf("--log-format: expected json or text, got %q", o.logFormat)
}

// wire makes every part. A policy that does not load ends the start.
func (v *service) wire(ctx context.Context) error {
	if err := v.openRegistry(ctx); err != nil {
		return err
	}
	makers, err := signers(v.options.trustedRoot, v.client)
	if err != nil {
		return err
	}
	v.trust = newKeeper(v.client, v.options.allow, v.options.insecure, reportTrust(ctx, v.log))
	makers.Material = v.trust
	options := policyOptions(makers)
	if v.cluster != nil {
		options = clusterPolicyOptions(makers)
	}
	options.Revision = v.trust.Revision
	watcher, set, err := policyset.NewWatcher(v.options.policies, options)
	if err != nil {
		return err
	}
	v.watcher = watcher
	v.rules = &rules{files: set, awaited: v.cluster != nil}
	tagTTL := v.options.tagTTL
	if tagTTL == 0 {
		tagTTL = -1 // the engine's zero is its default
	}
	v.engine, err = engine.New(v.client, engine.Options{TagTTL: tagTTL, Now: time.Now, NamedHost: v.namedHost, Observer: v.metrics})
	if err != nil {
		return err
	}
	if v.cluster == nil {
		v.adopt(ctx)
		return v.openServer(ctx)
	}
	if err := v.openCluster(ctx, options); err != nil {
		return err
	}
	return v.openServer(ctx)
}

func (v *service) openRegistry(ctx context.Context) error {
	hosts, err := v.options.hostsFile(ctx, v.log)
	if err != nil {
		return err
	}
	keychain, err := v.keychain()
	if err != nil {
		return err
	}
	client, err := registry.New(registry.Options{
		Clock:           time.Now,
		Keychain:        keychain,
		Hosts:           hosts,
		AllowedHosts:    v.options.allow,
		InsecureHosts:   v.options.insecure,
		ServiceNetworks: apiServerAddress(),
		Proxy:           proxy(),
		UserAgent:       "bonafide/" + versionText(),
		Observer: registry.ObserverFunc(func(r registry.RequestInfo) {
			v.metrics.RegistryRequest(r.Host, r.Status, r.Duration)
		}),
	})
	if err != nil {
		return fmt.Errorf("--allow-registry, --insecure-registry: %w", err)
	}
	v.client = client
	return nil
}

// namedHost reports whether the operator vouches for a registry's host, by a flag
// or in the file of registries.
func (v *service) namedHost(host string) bool {
	ref, err := imageref.Parse(host + "/any")
	return err == nil && v.client.Named(ref.Repository())
}

// apiServerAddress is the address of the cluster's API server, which no
// registry has (TRUST R8).
func apiServerAddress() []netip.Prefix {
	address, err := netip.ParseAddr(os.Getenv("KUBERNETES_SERVICE_HOST"))
	if err != nil {
		return nil // not in a cluster
	}
	return []netip.Prefix{netip.PrefixFrom(address, address.BitLen())}
}

func (v *service) openServer(ctx context.Context) error {
	unmatched, err := server.ParseUnmatched(v.options.unmatched)
	if err != nil {
		return fmt.Errorf("--unmatched: %w", err)
	}
	o := server.Options{
		Decider: v.engine, Unmatched: unmatched, Now: time.Now, Logger: v.log, Metrics: v.metrics,
		GatekeeperTimeout: v.options.gatekeeperTimeout, ObserveOnly: v.options.observeOnly, Ready: v.ready,
	}
	if v.cluster != nil {
		o.Namespaces, o.BreakGlass = v.cluster.policies, v.cluster.glassBroken
	}
	if v.options.gatekeeperTimeout <= 0 {
		return fmt.Errorf("--gatekeeper-timeout: expected more than 0s, got %s", v.options.gatekeeperTimeout)
	}
	if o.AdmissionClients, err = v.clients(ctx, "--admission-client-ca", v.options.admissionClientCA); err != nil {
		return err
	}
	if o.AdmissionClients == nil {
		v.log.WarnContext(ctx, "whoever reaches the webhooks is answered; --admission-client-ca limits them to the API server")
	}
	if o.GatekeeperClients, err = v.clients(ctx, "--client-ca", v.options.clientCA); err != nil {
		return err
	}
	if o.GatekeeperClients == nil {
		v.log.WarnContext(ctx, "whoever reaches the Gatekeeper paths is answered; --client-ca limits them to Gatekeeper")
	}
	if o.Policies, err = policyForms(); err != nil {
		return err
	}
	if o.CheckImages, err = v.checkImages(ctx); err != nil {
		return err
	}
	if err := v.certificate(ctx, &o); err != nil {
		return err
	}
	v.server, err = server.New(o)
	return err
}

// clients are the authorities of those who may use some paths; nil if the flag
// names none.
func (v *service) clients(ctx context.Context, flag, file string) (func() *x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	authorities, err := server.AuthorityFile(file, time.Now, func(err error) {
		v.log.ErrorContext(ctx, "client authorities do not load; the last good ones stay", slog.String("flag", flag), slog.String("error", err.Error()))
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return authorities.Pool, nil
}

// run listens, watches the policies and serves until ctx ends.
func (v *service) run(ctx context.Context) error {
	var config net.ListenConfig
	doors, err := config.Listen(ctx, "tcp", v.options.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	status, err := config.Listen(ctx, "tcp", v.options.metrics)
	if err != nil {
		return errors.Join(fmt.Errorf("--metrics-listen: %w", err), doors.Close())
	}
	v.log.InfoContext(ctx, "serving", slog.String("webhooks", doors.Addr().String()), slog.String("metrics", status.Addr().String()), slog.String("version", versionText()))
	ticker := time.NewTicker(policyset.Interval)
	defer ticker.Stop()
	looks := time.NewTicker(trust.Interval)
	defer looks.Stop()
	go v.trust.Run(ctx, looks.C)
	go v.watcher.Run(ctx, ticker.C, func(set policyset.Set, err error) { v.filesChanged(ctx, set, err) })
	working, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	defer done.Wait()
	defer stop() // also if a listener fails while ctx lives
	done.Go(func() { v.watchExpiry(working) })
	if v.cluster != nil {
		done.Go(func() { v.work(working) })
	}
	return v.server.Serve(ctx, doors, status)
}
