package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"reqpm/internal/blob"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
)

// What steps have left, for those who look at it.

// Manifest is the result of a build as it was kept.
type Manifest = pipeline.Built

// ReadManifest reads the result of a build by its content key: blob.ErrNotFound where it is not kept any more.
func ReadManifest(ctx context.Context, blobs blob.Store, key string) (Manifest, error) {
	var m Manifest
	if err := readJSON(ctx, blobs, buildBlob(key, resultFile), &m); err != nil {
		return m, fmt.Errorf("the result of a build: %w", err)
	}
	return m, nil
}

// BuildBlob names a file of a build's result among the blobs.
func BuildBlob(key, file string) string { return buildBlob(key, file) }

// ReadPlanned reads what the plan of a run says of one package on a target: blob.ErrNotFound where there is no plan,
// false where the plan has no such package.
func ReadPlanned(ctx context.Context, blobs blob.Store, run int64, target, pkg string) (plan.Node, bool, error) {
	var p struct {
		Nodes []plan.Node `json:"nodes"`
	}
	if err := readJSON(ctx, blobs, planBlob(Subject{Run: run, Target: target}), &p); err != nil {
		return plan.Node{}, false, fmt.Errorf("the plan: %w", err)
	}
	for _, n := range p.Nodes {
		if string(n.ID) == pkg {
			return n, true, nil
		}
	}
	return plan.Node{}, false, nil
}

// ReadSpec reads the spec file that a run had written for a package: blob.ErrNotFound where it has none.
func ReadSpec(ctx context.Context, blobs blob.Store, run int64, target, pkg string) (Spec, error) {
	prefix := fmt.Sprintf("runs/%d/%s/specs/%s/", run, target, safe(pkg))
	for info, err := range blobs.List(ctx, prefix) {
		if err != nil {
			return Spec{}, fmt.Errorf("find the spec file of %s: %w", pkg, err)
		}
		text, err := readBlob(ctx, blobs, info.Name)
		if err != nil {
			return Spec{}, fmt.Errorf("the spec file of %s: %w", pkg, err)
		}
		return Spec{Package: pkg, File: strings.TrimPrefix(info.Name, prefix), Text: string(text)}, nil
	}
	return Spec{}, fmt.Errorf("the spec file of %s: %w", pkg, blob.ErrNotFound)
}

func readJSON(ctx context.Context, blobs blob.Store, name string, into any) error {
	text, err := readBlob(ctx, blobs, name)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func readBlob(ctx context.Context, blobs blob.Store, name string) ([]byte, error) {
	const most = 256 << 20 // of what this server has written itself
	object, err := blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	text, err := io.ReadAll(io.LimitReader(object, most+1))
	if err == nil && len(text) > most {
		err = errors.New("it is too long")
	}
	return text, err
}
