package main

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// The shape of the cluster that is measured. Its numbers of policies and Pods
// are flags.
const (
	systemNamespace = "bonafide-system"
	reviewed        = "shop" // the namespace of the reviews, in which nothing runs

	manyImages       = 200 // at most
	teamWorkloads    = 20  // of a namespace
	replicas         = 10  // of a workload
	manyKeys         = 8
	secretEvery      = 10 // one cluster policy of so many has its key in a Secret
	unsignedEvery    = 10 // one image of so many is not signed
	unmatchedEvery   = 20 // one image of so many is under no policy
	taggedEvery      = 5  // one workload of so many of a signed image names it by tag alone
	namespacedShares = 10 // one policy of so many is a namespace's
)

// fleet is what is put into the cluster: policies each for a repository, and Pods
// of images of some of the repositories.
type fleet struct {
	policies, pods int
	registry       *fixture.Registry
	keys           []fixture.Key
	images         []fleetImage
}

// fleetImage is an image of the fleet, by the number of its cluster policy.
type fleetImage struct {
	kind    string
	tagged  string // its reference by tag
	pinned  string
	running string // as a kubelet names it
}

// The ways an image of the fleet is covered.
const (
	signed    = "signed"
	unsigned  = "unsigned"
	unmatched = "unmatched"
)

func (f *fleet) clusterPolicies() int { return f.policies - f.policies/namespacedShares }
func (f *fleet) workloads() int       { return f.pods / replicas }
func (f *fleet) namespaces() int      { return (f.workloads() + teamWorkloads - 1) / teamWorkloads }
func (f *fleet) key(i int) fixture.Key {
	return f.keys[i%len(f.keys)]
}

// newFleet pushes and signs the images.
func newFleet(ctx context.Context, registry *fixture.Registry, policies, pods int) (*fleet, error) {
	f := &fleet{policies: policies, pods: pods, registry: registry}
	if f.clusterPolicies() < leastPolicies || f.workloads()*replicas != pods || pods == 0 {
		return nil, fmt.Errorf("expected -policies of at least %d and -pods in tens, got %d and %d", leastPolicies, policies, pods)
	}
	for range manyKeys {
		key, err := fixture.NewKey(fixture.P256)
		if err != nil {
			return nil, err
		}
		f.keys = append(f.keys, key)
	}
	for i := range min(manyImages, f.clusterPolicies()) {
		if err := f.push(ctx, i); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// kindOf spreads the kinds over the images.
func kindOf(i int) string {
	switch {
	case i%unmatchedEvery == unmatchedEvery-1:
		return unmatched
	case i%unsignedEvery == unsignedEvery/2:
		return unsigned
	}
	return signed
}

// repositoryOf is what a cluster policy is for. Half of the repositories begin
// alike, as those of one organisation do, so that their policies are harder to
// tell apart.
func repositoryOf(i int) string {
	if i%2 == 0 {
		return fmt.Sprintf("team-%d/app", i)
	}
	return fmt.Sprintf("acme/team-%d", i)
}

func (f *fleet) push(ctx context.Context, i int) error {
	name := repositoryOf(i)
	if kindOf(i) == unmatched {
		name = fmt.Sprintf("public/tool-%d", i)
	}
	image, err := f.registry.PushImage(ctx, name+":1.0", name)
	if err != nil {
		return err
	}
	switch {
	case kindOf(i) != signed:
	case i%4 < 2: // of both kinds of repositories
		_, err = f.registry.SignCosign(ctx, image, f.key(i), fixture.CosignOptions{})
	default:
		_, err = f.registry.SignBundle(ctx, image, f.key(i), fixture.BundleOptions{})
	}
	tagged, digest := image.Reference.String(), image.Digest.String()
	f.images = append(f.images, fleetImage{
		kind: kindOf(i), tagged: tagged, pinned: tagged + "@" + digest,
		running: f.registry.Host() + "/" + name + "@" + digest,
	})
	return err
}

// secretName is the Secret of a cluster policy's key; empty: it holds the key
// itself.
func secretName(i int) string {
	if i%secretEvery != 0 {
		return ""
	}
	return fmt.Sprintf("key-%d", i)
}

// clusterPolicy is the i-th cluster policy, for the key.
func (f *fleet) clusterPolicy(i int, key fixture.Key) string {
	from := fmt.Sprintf("pem: %q", key.PublicPEM)
	if name := secretName(i); name != "" {
		from = fmt.Sprintf("secretRef: {namespace: %s, name: %s, key: cosign.pub}", systemNamespace, name)
	}
	return policyText("ClusterVerificationPolicy", fmt.Sprintf("name: repository-%d", i), f.registry.Host()+"/"+repositoryOf(i), from)
}

// secret holds the key of the i-th cluster policy.
func secret(i int, key fixture.Key) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: %s}, data: {cosign.pub: %s}}",
		secretName(i), systemNamespace, base64.StdEncoding.EncodeToString(key.PublicPEM))
}

// namespacedPolicy is the j-th policy of a namespace. It asks again for the
// signature on an image that runs there.
func (f *fleet) namespacedPolicy(j int) string {
	namespace := j % f.namespaces()
	i := (namespace*teamWorkloads + j/f.namespaces()) % len(f.images)
	for f.images[i].kind != signed {
		i = (i + 1) % len(f.images)
	}
	metadata := fmt.Sprintf("name: again-%d, namespace: %s", j, namespaceName(namespace))
	return policyText("VerificationPolicy", metadata, f.registry.Host()+"/"+repositoryOf(i), fmt.Sprintf("pem: %q", f.key(i).PublicPEM))
}

func policyText(kind, metadata, images, key string) string {
	return fmt.Sprintf(`apiVersion: bonafide.dev/v1alpha1
kind: %s
metadata: {%s}
spec:
  images: ["%s/**", "%s"]
  signers:
  - name: release
    sigstore: {key: {%s}, transparencyLog: Ignored}
  require:
  - signature: {anyOf: [release]}
`, kind, metadata, images, images, key)
}

func namespaceName(n int) string { return fmt.Sprintf("team-%d", n) }

// workload is the w-th: its namespace, its image, and how its Pods name it. What
// was admitted under a policy is named by digest, but for what ran before.
func (f *fleet) workload(w int) (namespace string, image fleetImage, ref string) {
	image = f.images[w%len(f.images)]
	ref = image.tagged
	if image.kind == signed && (w/len(f.images))%taggedEvery != taggedEvery-1 {
		ref = image.pinned
	}
	return namespaceName(w / teamWorkloads), image, ref
}

// count is how many Pods have images of a kind.
func (f *fleet) count(kind string) int {
	n := 0
	for w := range f.workloads() {
		if _, image, _ := f.workload(w); image.kind == kind {
			n += replicas
		}
	}
	return n
}
