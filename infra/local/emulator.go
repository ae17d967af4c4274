package main

import (
	"context"
	"fmt"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/geminivideo/geminivideo/functions"
)

// subscribeEmulator makes the manifest's topics and push subscriptions in
// Google's emulator, with the policies that Terraform gives them in production.
func (s *system) subscribeEmulator(ctx context.Context) error {
	client, err := pubsub.NewClient(ctx, project)
	if err != nil {
		return fmt.Errorf("reach the Pub/Sub emulator: %w", err)
	}
	defer client.Close()
	var subscribers []functions.Function
	for _, f := range s.manifest.Functions {
		if _, err := s.handler(f.Name, functions.PubSub); err != nil {
			continue
		}
		subscribers = append(subscribers, f)
		_, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topicName(f.Topic)})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("make topic %s: %w", f.Topic, err)
		}
	}
	for _, f := range subscribers {
		if err := s.subscribe(ctx, client, f); err != nil {
			return fmt.Errorf("subscribe %s to %s: %w", f.Name, f.Topic, err)
		}
	}
	return nil
}

func (s *system) subscribe(ctx context.Context, client *pubsub.Client, f functions.Function) error {
	want := &pubsubpb.Subscription{
		Name: "projects/" + project + "/subscriptions/" + f.Name, Topic: topicName(f.Topic), AckDeadlineSeconds: 600,
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: s.baseURL + "/_local/deliver/" + f.Name},
		RetryPolicy: &pubsubpb.RetryPolicy{
			MinimumBackoff: durationpb.New(f.Retry.MinBackoff), MaximumBackoff: durationpb.New(f.Retry.MaxBackoff),
		},
	}
	if f.Topic != functions.DeadLetterTopic {
		want.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{
			DeadLetterTopic: topicName(functions.DeadLetterTopic), MaxDeliveryAttempts: int32(f.Retry.MaxAttempts),
		}
	}
	_, err := client.SubscriptionAdminClient.CreateSubscription(ctx, want)
	if status.Code(err) != codes.AlreadyExists {
		return err
	}
	// It is there from an earlier run, perhaps with another address.
	_, err = client.SubscriptionAdminClient.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
		Subscription: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"push_config", "retry_policy", "dead_letter_policy"}},
	})
	return err
}

func topicName(topic string) string { return "projects/" + project + "/topics/" + topic }
