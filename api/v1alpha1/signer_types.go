package v1alpha1

// Signer is a party that may have signed. Exactly one of Sigstore, Notation and
// AtLeast MUST be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.sigstore), has(self.notation), has(self.atLeast)].exists_one(x, x)",message="exactly one of sigstore, notation and atLeast"
type Signer struct {
	// Name is how Require and groups name the signer; it appears in messages.
	// Lower-case letters, digits and hyphens, unique within the policy.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`

	// Sigstore is a party that signs with cosign or another Sigstore client.
	//
	// +optional
	Sigstore *SigstoreSigner `json:"sigstore,omitempty"`

	// Notation is a party that signs with a Notary Project client.
	//
	// +optional
	Notation *NotationSigner `json:"notation,omitempty"`

	// AtLeast makes a group of signers count as one.
	//
	// +optional
	AtLeast *SignerGroup `json:"atLeast,omitempty"`
}

// SignerGroup holds if Count of its members have signed, by distinct
// identities: one signature fills one slot (TRUST R28).
//
// +kubebuilder:validation:XValidation:rule="self.count <= size(self.of)",message="count is at most the number of members in of"
type SignerGroup struct {
	// Count is at least 1 and at most the number of members.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Count int32 `json:"count"`

	// Of are the names of the members. A member may be a group; a group MUST NOT
	// contain itself, directly or through others.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	Of []string `json:"of"`
}

// SigstoreSigner is who signs with cosign or another Sigstore client. Exactly one
// of Key, Keyless, GitHub and Certificate MUST be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.key), has(self.keyless), has(self.github), has(self.certificate)].exists_one(x, x)",message="exactly one of key, keyless, github and certificate"
type SigstoreSigner struct {
	// Key is a public key.
	//
	// +optional
	Key *PublicKey `json:"key,omitempty"`

	// Keyless is an identity in a short-lived certificate, which a certificate
	// authority of the trusted root has issued.
	//
	// +optional
	Keyless *Keyless `json:"keyless,omitempty"`

	// GitHub is short for Keyless with a workflow of GitHub Actions.
	//
	// +optional
	GitHub *GitHubWorkflow `json:"github,omitempty"`

	// Certificate is a certificate of an authority that the policy names.
	//
	// +optional
	Certificate *SigningCertificate `json:"certificate,omitempty"`

	// TrustedRoot replaces the operator's trusted root for this signer.
	//
	// +optional
	TrustedRoot *TrustedRoot `json:"trustedRoot,omitempty"`

	// TransparencyLog says whether a signature needs an entry in a transparency
	// log that the trusted root names. Default Required (TRUST R25); Ignored is a
	// weakening. With Ignored a keyless signature needs a signed timestamp.
	//
	// +optional
	// +kubebuilder:default=Required
	TransparencyLog TransparencyLog `json:"transparencyLog,omitempty"`

	// Timestamps says whether a signature needs a timestamp by an authority that
	// the trusted root names. Default IfPresent: one that is there MUST verify
	// (TRUST R26).
	//
	// +optional
	// +kubebuilder:default=IfPresent
	Timestamps Timestamps `json:"timestamps,omitempty"`

	// SignedReference compares the image reference that was signed with the
	// image's repository: Any (default) compares nothing, MatchRepository asks
	// for the image's own repository, and any other value is the repository that
	// is asked for, such as ghcr.io/acme/app (TRUST R33). Sigstore bundles and
	// attestations record no reference, so with anything but Any they are refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	SignedReference string `json:"signedReference,omitempty"`

	// Annotations are names and values that MUST have been signed along, as
	// `cosign sign -a name=value` does. Others may be there too. Attestations
	// have none, and count without.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`

	// Repository is where the signer's signatures and attestations are, if they
	// are not with the image (cosign's COSIGN_REPOSITORY), such as
	// ghcr.io/acme/signatures. Never for a VerificationPolicy: another repository
	// would be asked with the credentials of whoever deploys (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Repository string `json:"repository,omitempty"`

	// TagPrefix stands in front of the tags under which the signer's signatures
	// and attestations are, as cosign's flag --attachment-tag-prefix puts it there.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TagPrefix string `json:"tagPrefix,omitempty"`
}

// The words of SignedReference.
const (
	SignedReferenceAny             = "Any"
	SignedReferenceMatchRepository = "MatchRepository"
)

// TransparencyLog says whether a log entry is needed.
//
// +kubebuilder:validation:Enum=Required;Ignored
type TransparencyLog string

// The choices.
const (
	TransparencyLogRequired TransparencyLog = "Required"
	TransparencyLogIgnored  TransparencyLog = "Ignored"
)

// Timestamps says whether a signed timestamp is needed.
//
// +kubebuilder:validation:Enum=IfPresent;Required
type Timestamps string

// The choices.
const (
	TimestampsIfPresent Timestamps = "IfPresent"
	TimestampsRequired  Timestamps = "Required"
)

// PublicKey is a public key and how it signs. Exactly one of PEM, SecretRef,
// ConfigMapRef, File and KMS MUST be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file), has(self.kms)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef, file and kms"
type PublicKey struct {
	Material `json:",inline"`

	// KMS is the URI of a key that a key management service holds: awskms://,
	// azurekms://, gcpkms:// or hashivault://, as cosign writes them. The service
	// is asked for the public key beside decisions, with the credentials of the
	// process; until it has answered, and when it has not for a day, the signer is
	// undecided. Never for a VerificationPolicy (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	KMS string `json:"kms,omitempty"`

	// Hash is the only hash with which the key's signatures are accepted: sha224,
	// sha256, sha384 or sha512. Default: what cosign signs with for such a key.
	// None is accepted for an Ed25519 key.
	//
	// +optional
	Hash Hash `json:"hash,omitempty"`
}

// Hash is a hash algorithm.
//
// +kubebuilder:validation:Enum=sha224;sha256;sha384;sha512
type Hash string

// The hashes.
const (
	HashSHA224 Hash = "sha224"
	HashSHA256 Hash = "sha256"
	HashSHA384 Hash = "sha384"
	HashSHA512 Hash = "sha512"
)

// Material is where keys and certificates are found. Exactly one field MUST be
// set. What it names is read when the policy is loaded; when it changes, the
// policy is compiled anew.
type Material struct {
	// PEM is the material itself.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1048576
	PEM string `json:"pem,omitempty"`

	// SecretRef names an entry of a Secret.
	//
	// +optional
	SecretRef *ObjectEntry `json:"secretRef,omitempty"`

	// ConfigMapRef names an entry of a ConfigMap.
	//
	// +optional
	ConfigMapRef *ObjectEntry `json:"configMapRef,omitempty"`

	// File is a path on the machine that verifies. A relative path begins at the
	// directory of the policy's own file. Never for a VerificationPolicy
	// (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	File string `json:"file,omitempty"`
}

// ObjectEntry names an entry of a Secret or ConfigMap.
type ObjectEntry struct {
	// Namespace is required in a ClusterVerificationPolicy. In a
	// VerificationPolicy it is the policy's own, and no other is accepted
	// (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// Name is the object's name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key is the entry's name. Default cosign.pub for a signer's key, as cosign
	// writes it, public for the key of a log, ca.crt for certificates,
	// trusted_root.json for a trusted root and root.json for the root of a TUF
	// repository.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
