package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/api/cloudbuild/v1"
	"google.golang.org/api/cloudscheduler/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/pubsub/v1"
	cloudrun "google.golang.org/api/run/v2"
	"google.golang.org/api/secretmanager/v1"
	"google.golang.org/api/serviceusage/v1"
	"google.golang.org/api/storage/v1"
)

// cloud is one project's Google APIs, as far as a deployment needs them.
type cloud struct {
	project, region string

	run       *cloudrun.Service
	builds    *cloudbuild.Service
	storage   *storage.Service
	secrets   *secretmanager.Service
	pubsub    *pubsub.Service
	usage     *serviceusage.Service
	scheduler *cloudscheduler.Service
}

// dialer opens a project's APIs.
type dialer func(ctx context.Context, project, region string) (*cloud, error)

// connect opens them with the caller's own credentials: gcloud auth
// application-default login, or the account of the build.
func connect(ctx context.Context, project, region string) (*cloud, error) {
	return open(ctx, project, region, func(string) []option.ClientOption { return nil })
}

func open(ctx context.Context, project, region string, options func(api string) []option.ClientOption) (*cloud, error) {
	c := &cloud{project: project, region: region}
	var errs [7]error
	c.run, errs[0] = cloudrun.NewService(ctx, options("run/v2")...)
	c.builds, errs[1] = cloudbuild.NewService(ctx, options("cloudbuild/v1")...)
	c.storage, errs[2] = storage.NewService(ctx, options("storage/v1")...)
	c.secrets, errs[3] = secretmanager.NewService(ctx, options("secretmanager/v1")...)
	c.pubsub, errs[4] = pubsub.NewService(ctx, options("pubsub/v1")...)
	c.usage, errs[5] = serviceusage.NewService(ctx, options("serviceusage/v1")...)
	c.scheduler, errs[6] = cloudscheduler.NewService(ctx, options("cloudscheduler/v1")...)
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("no credentials for Google Cloud (gcloud auth application-default login): %w", err)
		}
	}
	return c, nil
}

func (c *cloud) parent() string          { return "projects/" + c.project + "/locations/" + c.region }
func (c *cloud) name(name string) string { return c.parent() + "/services/" + name }

// status is the HTTP status of Google's answer, 0 for what is none.
func status(err error) int {
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// services returns the project's Cloud Run services, by name.
func (c *cloud) services(ctx context.Context) (map[string]*cloudrun.GoogleCloudRunV2Service, error) {
	all := map[string]*cloudrun.GoogleCloudRunV2Service{}
	err := c.run.Projects.Locations.Services.List(c.parent()).Pages(ctx, func(page *cloudrun.GoogleCloudRunV2ListServicesResponse) error {
		for _, s := range page.Services {
			all[last(s.Name)] = s
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the services of %s in %s: %w", c.project, c.region, err)
	}
	return all, nil
}

// upload puts an archive into the bucket of sources, unless it is there.
func (c *cloud) upload(ctx context.Context, a archive) (object string, err error) {
	object = a.function.Name + "/" + a.hash + ".zip"
	_, err = c.storage.Objects.Insert(c.bucket(), &storage.Object{Name: object, ContentType: "application/zip"}).
		IfGenerationMatch(0).Media(bytes.NewReader(a.zip), googleapi.ContentType("application/zip")).Context(ctx).Do()
	if err != nil && status(err) != http.StatusPreconditionFailed {
		return "", fmt.Errorf("upload %s to the bucket %s: %w", object, c.bucket(), err)
	}
	return object, nil
}

func (c *cloud) bucket() string { return c.project + "-source" }

// pollEvery is how often an operation is looked at, and buildTime and rolloutTime how
// long one may take.
const (
	pollEvery   = 3 * time.Second
	buildTime   = 20 * time.Minute
	rolloutTime = 10 * time.Minute
)

// image builds an uploaded archive as the buildpack does, and returns the image by its
// digest, and the base image under it.
func (d *deployment) image(ctx context.Context, a archive, object string) (image, base string, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	c := d.cloud
	answer, err := c.run.Projects.Locations.Builds.Submit(c.parent(), &cloudrun.GoogleCloudRunV2SubmitBuildRequest{
		StorageSource: &cloudrun.GoogleCloudRunV2StorageSource{Bucket: c.bucket(), Object: object},
		ImageUri:      c.region + "-docker.pkg.dev/" + c.project + "/functions/" + a.function.Name + ":" + a.hash,
		BuildpackBuild: &cloudrun.GoogleCloudRunV2BuildpacksBuild{
			FunctionTarget: a.function.Name, EnableAutomaticUpdates: true,
			BaseImage: c.region + "-docker.pkg.dev/serverless-runtimes/" + d.baseImage,
		},
		ServiceAccount: "projects/" + c.project + "/serviceAccounts/builder@" + c.project + ".iam.gserviceaccount.com",
	}).Context(ctx).Do()
	if err != nil {
		return "", "", fmt.Errorf("start the build: %w", err)
	}
	operation := &cloudbuild.Operation{Name: answer.BuildOperation.Name, Done: answer.BuildOperation.Done}
	for !operation.Done {
		if err := d.sleep(ctx, pollEvery); err != nil {
			return "", "", fmt.Errorf("the build %s has not ended: %w", operation.Name, err)
		}
		if operation, err = c.builds.Operations.Get(operation.Name).Context(ctx).Do(); err != nil {
			return "", "", fmt.Errorf("look at the build: %w", err)
		}
	}
	if operation.Error != nil {
		return "", "", fmt.Errorf("the build failed: %s", operation.Error.Message)
	}
	var build cloudbuild.Build
	if err := json.Unmarshal(operation.Response, &build); err != nil {
		return "", "", fmt.Errorf("read the build's result: %w", err)
	}
	if build.Results == nil || len(build.Results.Images) == 0 {
		return "", "", fmt.Errorf("the build %s made no image: its status is %s", build.Id, build.Status)
	}
	built := build.Results.Images[0]
	return untagged(built.Name) + "@" + built.Digest, answer.BaseImageUri, nil
}

// write changes a service, and waits until Cloud Run has done it, or has not.
func (d *deployment) write(ctx context.Context, s *cloudrun.GoogleCloudRunV2Service) (*cloudrun.GoogleCloudRunV2Service, error) {
	ctx, cancel := context.WithTimeout(ctx, rolloutTime)
	defer cancel()
	name := s.Name
	operation, err := d.cloud.run.Projects.Locations.Services.Patch(name, s).Context(ctx).Do()
	if err != nil {
		return nil, fmt.Errorf("change the service: %w", err)
	}
	for !operation.Done {
		if err := d.sleep(ctx, pollEvery); err != nil {
			return nil, fmt.Errorf("wait for Cloud Run to finish the change: %w", err)
		}
		if operation, err = d.cloud.run.Projects.Locations.Operations.Get(operation.Name).Context(ctx).Do(); err != nil {
			return nil, fmt.Errorf("look at the change: %w", err)
		}
	}
	if operation.Error != nil {
		return nil, fmt.Errorf("refused by Cloud Run: %s", operation.Error.Message)
	}
	after, err := d.cloud.run.Projects.Locations.Services.Get(name).Context(ctx).Do()
	if err != nil {
		return nil, fmt.Errorf("read the service: %w", err)
	}
	return after, nil
}
