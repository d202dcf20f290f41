//go:build interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestBesideRatify measures external data: Ratify's cosign verifier with its
// cache on, and a policy that asks for the same.
func TestBesideRatify(t *testing.T) {
	images := &stock{store: slowRegistry(t), key: rig.NewKey(t)}
	executor := fmt.Sprintf(`{"executor": {"verificationRequestTimeout": %d},`, besideTimeout.Milliseconds())
	ratify := rig.StartRatify(t, rig.RatifyOptions{
		Config: []byte(strings.Replace(ratifyCosign, "{", executor, 1)),
		Files:  map[string][]byte{"cosign.pub": images.key.PublicPEM}, Cache: true,
	})
	b := shared.StartBonafide(t, rig.BonafideOptions{
		Policies: writeFile(t, "policy.yaml", rig.SignedPolicy(images.store.Host(), images.key.PublicPEM, "")),
		Registry: images.store.Host(), Flags: []string{"--gatekeeper-timeout", besideTimeout.String()},
	})
	const path = "/ratify/gatekeeper/v1/verify"
	c := &comparison{store: images.store, pair: [2]contender{
		newContender(t, "Ratify", ratify.URL+path, ratify.CABundle),
		newContender(t, "bonafide", b.URL+path, b.CABundle),
	}}
	digests := func(n int) work {
		var keys []string
		for range n {
			keys = append(keys, images.signed(t).Pinned().String())
		}
		return keysWork(t, true, keys...)
	}
	fresh := func(n int) func(contender) work { return func(contender) work { return digests(n) } }
	for _, one := range c.pair {
		again(t, digests(1))(one) // opens the connection
	}

	c.measure(t, "new digest", *rounds, fresh(1))
	c.measure(t, "same digest again", *rounds*warmRounds, again(t, digests(1)))
	c.measure(t, "new digest, unsigned", *rounds, func(contender) work { return keysWork(t, false, images.unsigned(t).Pinned().String()) })
	c.measure(t, "10 new digests", *rounds, fresh(10))
	c.measure(t, "same 10 digests again", *rounds*warmRounds, again(t, digests(10)))
	tag := func() work { return keysWork(t, true, images.signed(t).Reference.String()) }
	c.measure(t, "new tag", *rounds, func(contender) work { return tag() })
	c.measure(t, "same tag again", *rounds*warmRounds, again(t, tag()))
	c.print(
		fmt.Sprintf("External data beside Ratify %s, its cache on: a ProviderRequest at %s over TLS; one cosign key.", versionOf(t, "ratify", "github.com/ratify-project/ratify"), path),
		"Ratify remembers a tag's answer for 10s.")
}

// keysWork asks about keys in one ProviderRequest; all must be verified, or none.
func keysWork(t *testing.T, verified bool, keys ...string) work {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": map[string]any{"keys": keys},
	})
	if err != nil {
		t.Fatal(err)
	}
	return work{bodies: [][]byte{body}, right: func(answer []byte) error {
		var got struct {
			Response struct {
				Items []struct {
					Key   string
					Value struct{ IsSuccess *bool }
				}
			}
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			return fmt.Errorf("want a ProviderResponse, got %q: %w", answer, err)
		}
		answered := map[string]bool{}
		for _, i := range got.Response.Items { // Ratify answers in any order
			answered[i.Key] = i.Value.IsSuccess != nil && *i.Value.IsSuccess == verified
		}
		for _, key := range keys {
			if !answered[key] {
				return fmt.Errorf("%s: want isSuccess %t, got %s", key, verified, answer)
			}
		}
		return nil
	}}
}
