package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/workload"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	policies []string
	sigstore signerFlags
	// trustPolicy and trustStore are Notation's document and the folder that
	// holds x509/.
	trustPolicy, trustStore string
	attestations            []string
	attestationOnly         bool
	namespace               string
	insecure                []string
	resource                string
	explain                 bool
	output                  string
}

const verifyLong = `Decide whether images may run, from the signatures attached to them.

IMAGE is a reference, or oci:DIR for an OCI image layout on disk (oci:DIR:TAG for one of its images).
Signer flags together form one requirement, which any of them satisfies. Policies and flags must both allow.

Exit codes: 0 allowed, 1 denied or unmatched, 2 usage or configuration, 3 could not be decided.`

func newVerify() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify IMAGE... | --resource FILE",
		Short: "Decide whether images may run",
		Long:  verifyLong,
		Example: `  bonafide verify --key cosign.pub --insecure-ignore-tlog ghcr.io/acme/app:1.4
  bonafide verify --policy policies/ --resource deployment.yaml
  bonafide verify --notation-trust-policy trustpolicy.json --notation-trust-store truststore registry.acme.io/app@sha256:…`,
		RunE: func(c *cobra.Command, args []string) error {
			return runVerify(c.Context(), o, args, streams{c.OutOrStdout(), c.ErrOrStderr()})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.policies, "policy", nil, "policy `FILE|DIR`; repeatable")
	o.sigstore.register(f)
	f.StringVar(&o.trustPolicy, "notation-trust-policy", "", "Notation trust policy `FILE`")
	f.StringVar(&o.trustStore, "notation-trust-store", "", "Notation trust store `DIR`: the folder that holds x509/")
	f.StringArrayVar(&o.attestations, "attestation", nil, "also require an attestation of `TYPE` by one of the Sigstore signers: a predicate type, or a short name such as slsaprovenance; repeatable")
	f.BoolVar(&o.attestationOnly, "attestation-only", false, "require the --attestation alone, and no signature: for images that GitHub attests and nobody signs")
	f.StringVar(&o.namespace, "namespace", "", "decide as for this Kubernetes namespace")
	f.StringArrayVar(&o.insecure, "insecure-registry", nil, "registry `HOST[:PORT]` with which plain HTTP or unverified TLS is spoken; repeatable")
	f.StringVar(&o.resource, "resource", "", "decide on the Kubernetes manifests of `FILE` as admission would")
	f.BoolVar(&o.explain, "explain", false, "show every step with its time, and the registry requests")
	f.StringVarP(&o.output, "output", "o", "text", "output format: text or json")
	return c
}

// streams are where a command prints.
type streams struct{ out, err io.Writer }

func (o verifyOptions) check(images []string) error {
	switch {
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("--output: expected text or json, got %q", o.output)
	case len(images) == 0 && o.resource == "":
		return hintError{errors.New("expected an image or --resource, got neither"), "see bonafide verify --help"}
	case len(images) > 0 && o.resource != "":
		return errors.New("expected images or --resource, got both")
	case (o.trustPolicy == "") != (o.trustStore == ""):
		return errors.New("--notation-trust-policy and --notation-trust-store: expected both or neither")
	case len(o.attestations) > 0 && o.sigstore.none():
		return hintError{errors.New("--attestation: expected --key or --certificate-identity, got neither"), "say who must have made the statement; a Notation signer makes none"}
	case o.attestationOnly && len(o.attestations) == 0:
		return errors.New("--attestation-only: expected --attestation, got none")
	case o.attestationOnly && o.trustPolicy != "":
		return errors.New("--attestation-only: expected no --notation-trust-policy beside it, which asks for a signature")
	case len(o.policies) == 0 && o.sigstore.none() && o.trustPolicy == "":
		return hintError{errors.New("expected --policy, --key, --certificate-identity or --notation-trust-policy, got none"), "say who must have signed, for example --key cosign.pub"}
	}
	return o.sigstore.check()
}

func runVerify(ctx context.Context, o verifyOptions, images []string, s streams) error {
	if err := o.check(images); err != nil {
		return err
	}
	requests, sources, err := o.requests(images, s.err)
	if err != nil {
		return err
	}
	defer sources.close()
	trail := &requestTrail{}
	client, err := registry.New(registry.Options{
		Clock:         time.Now,
		Keychain:      registry.NewDockerConfig("", time.Now),
		InsecureHosts: o.insecure,
		Workstation:   true,
		Proxy:         proxy(),
		UserAgent:     "bonafide/" + versionText(),
		Observer:      trail,
	})
	if err != nil {
		return fmt.Errorf("--insecure-registry: %w", err)
	}
	defer client.Close()
	sources.remote = client
	rules, err := o.fetch(ctx, client)
	if err != nil {
		return err
	}
	e, err := engine.New(sources, engine.Options{Now: time.Now, NamedHost: named(o.insecure)})
	if err != nil {
		return err
	}
	e.Swap(engine.NewSnapshotOf(rules))
	var decision engine.Decision
	for _, r := range requests {
		decision.Images = append(decision.Images, e.Decide(ctx, r).Images...)
	}
	for i, image := range images { // a layout is shown as it was named
		decision.Images[i].Image.Ref = image
	}
	if err := o.print(decision, trail, s); err != nil {
		return err
	}
	return outcomeOf(decision)
}

// fetch returns the rules when the trust material that they want from afar was
// asked for.
func (o verifyOptions) fetch(ctx context.Context, client *registry.Client) (engine.Rules, error) {
	makers, err := signers(o.sigstore.trustedRoot, client)
	if err != nil {
		return engine.Rules{}, err
	}
	keeper := newKeeper(client, nil, o.insecure, nil)
	makers.Material = keeper
	return fetched(ctx, keeper, func() (engine.Rules, error) { return o.load(makers) })
}

// load returns the rules of the files, and a policy more for the signer flags.
func (o verifyOptions) load(makers policyset.Signers) (engine.Rules, error) {
	var rules engine.Rules
	if len(o.policies) > 0 {
		set, err := policyset.Load(o.policies, policyOptions(makers))
		if err != nil {
			return engine.Rules{}, err
		}
		rules = engine.Rules{Policies: set.Policies, Exceptions: set.Exceptions, Denials: set.Denials}
	}
	named, err := o.signers(makers)
	if err != nil || len(named) == 0 {
		return rules, err
	}
	require, err := o.require(named)
	if err != nil {
		return engine.Rules{}, err
	}
	everything, err := imageref.ParsePattern("**")
	if err != nil {
		return engine.Rules{}, err
	}
	rules.Policies = append(slices.Clip(rules.Policies), policy.Policy{
		Origin:  policy.Origin{Dialect: "flags", Name: "command-line"},
		Include: []policy.ImagePattern{everything},
		Pin:     policy.PinNone,
		Require: require,
	})
	return rules, nil
}

// require asks for a signature by any of the signers, and for each attestation
// by any of those that make some.
func (o verifyOptions) require(signers []policy.Signature) (policy.Requirement, error) {
	var attestors []policy.Signature
	for _, s := range signers {
		if _, is := s.Signer.(policy.Attestor); is {
			attestors = append(attestors, s)
		}
	}
	signature := anyOf(signers)
	if len(o.attestations) == 0 {
		return signature, nil
	}
	all := policy.All{Of: []policy.Requirement{signature}}
	if o.attestationOnly {
		all.Of = nil
	}
	for _, name := range o.attestations {
		predicateType, err := attest.PredicateType(name)
		if err != nil {
			return nil, fmt.Errorf("--attestation: %w", err)
		}
		all.Of = append(all.Of, policy.Attestation{Claim: policy.Claim{Type: predicateType, Signers: attestors}})
	}
	return all, nil
}

// signers are those of the flags.
func (o verifyOptions) signers(make policyset.Signers) ([]policy.Signature, error) {
	of, err := o.sigstore.signers(make)
	if err != nil {
		return nil, err
	}
	if o.trustPolicy != "" {
		signer, err := notationSigner(o.trustPolicy, o.trustStore, make)
		if err != nil {
			return nil, err
		}
		of = append(of, policy.Signature{Name: o.trustPolicy, Signer: signer})
	}
	return of, nil
}

// requests turns the arguments into what to decide.
func (o verifyOptions) requests(images []string, notes io.Writer) ([]engine.Request, *sourceSet, error) {
	sources := &sourceSet{}
	if o.resource != "" {
		requests, err := o.resources(notes)
		return requests, sources, err
	}
	r := engine.Request{Request: policy.Request{Namespace: o.namespaceOf("")}}
	for _, image := range images {
		ref := image
		if layout, is := strings.CutPrefix(image, "oci:"); is {
			named, err := sources.addLayout(layout)
			if err != nil {
				return nil, nil, err
			}
			ref = named
		}
		r.Images = append(r.Images, workload.Image{Ref: ref})
	}
	return []engine.Request{r}, sources, nil
}

// namespaceOf is what is known of the namespace: the flag's, else the object's.
func (o verifyOptions) namespaceOf(object string) policy.Namespace {
	name := o.namespace
	if name == "" {
		name = object
	}
	if name == "" {
		return policy.Namespace{}
	}
	return policy.Namespace{State: policy.NamespaceKnown, Name: name}
}

// resources reads the manifests of --resource: one request an object.
func (o verifyOptions) resources(notes io.Writer) ([]engine.Request, error) {
	content, err := dialect.ReadFile(o.resource)
	if err != nil {
		return nil, fmt.Errorf("--resource: %w", err)
	}
	objects, passed, err := readObjects(o.resource, content)
	if err != nil {
		return nil, err
	}
	for _, what := range passed {
		fmt.Fprintf(notes, "note: %s is not of a kind that is known to hold images: passed over\n", what)
	}
	var requests []engine.Request
	for _, object := range objects {
		requests = append(requests, engine.Request{
			Request: policy.Request{
				Namespace: o.namespaceOf(object.Namespace), Kind: object.Kind, Name: object.Name, Operation: "CREATE",
				ServiceAccount: object.ServiceAccount, Labels: object.Labels,
			},
			Images: object.Images,
			Puller: evidence.Puller{Namespace: object.Namespace, ServiceAccount: object.ServiceAccount, PullSecrets: object.PullSecrets},
			CanPin: true,
		})
	}
	return requests, nil
}

func (o verifyOptions) print(d engine.Decision, trail *requestTrail, s streams) error {
	if o.output == "json" {
		return writeJSON(s.out, d, o.explain)
	}
	renderer{w: s.out, colour: colourful(s.out), explain: o.explain}.decision(d)
	if o.explain && trail != nil {
		trail.print(s.out)
	}
	for _, hint := range hints(d) {
		fmt.Fprintf(s.err, "hint: %s\n", hint)
	}
	return nil
}

// requestTrail remembers registry requests for --explain.
type requestTrail struct {
	mu       sync.Mutex
	requests []registry.RequestInfo
}

// Request implements registry.Observer.
func (t *requestTrail) Request(r registry.RequestInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = append(t.requests, r)
}

func (t *requestTrail) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "\n%d registry requests\n", len(t.requests))
	for _, r := range t.requests {
		status := fmt.Sprint(r.Status)
		if r.Status == 0 {
			status = string(r.Reason)
		}
		fmt.Fprintf(w, "  %8s  %s %-9s %-4s %7d bytes  %s\n", r.Duration.Round(10*time.Microsecond), r.Method, r.Kind, status, r.Bytes, r.Host)
	}
}

// named reports hosts that the operator named.
func named(hosts []string) func(string) bool {
	set := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		set[strings.TrimSuffix(strings.ToLower(h), ":443")] = true
	}
	return func(host string) bool { return set[host] }
}
