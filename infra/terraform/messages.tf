# Topics and push subscriptions. What fails its last attempt goes to the topic
# dead-letter, whose function keeps it in the database with its reason.
resource "google_pubsub_topic" "this" {
  for_each                   = local.topics
  name                       = each.key
  message_retention_duration = "604800s" # 7 days, to replay from where a subscription was wrong

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "push" {
  for_each                   = local.consumers
  name                       = each.key
  topic                      = google_pubsub_topic.this[each.value.topic].id
  ack_deadline_seconds       = 600 # the longest: no function may take longer, and none is sent a message twice while it works
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = google_cloud_run_v2_service.function[each.key].uri
    oidc_token {
      service_account_email = google_service_account.caller["pubsub"].email
      audience              = google_cloud_run_v2_service.function[each.key].uri
    }
  }

  retry_policy {
    minimum_backoff = each.value.retry.min_backoff
    maximum_backoff = each.value.retry.max_backoff
  }

  expiration_policy {
    ttl = "" # never: a quiet month deletes no subscription
  }

  dead_letter_policy {
    dead_letter_topic     = each.value.topic == local.dead_letter_topic ? google_pubsub_topic.unread.id : google_pubsub_topic.this[local.dead_letter_topic].id
    max_delivery_attempts = each.value.retry.max_attempts
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}

# Where even the dead letters' own function failed, a hundred times: messages wait here
# for a person. The runbook says how to read them.
resource "google_pubsub_topic" "unread" {
  name = "dead-letter-unread"

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "unread" {
  name                       = "dead-letter-unread"
  topic                      = google_pubsub_topic.unread.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub's own agent moves dead letters: it publishes on one end and acknowledges on
# the other. Without either right a message that failed for good is pushed for ever.
locals {
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  dead_ends = {
    (local.dead_letter_topic)         = google_pubsub_topic.this[local.dead_letter_topic].id
    (google_pubsub_topic.unread.name) = google_pubsub_topic.unread.id
  }
}

resource "google_pubsub_topic_iam_member" "agent" {
  for_each = local.dead_ends
  topic    = each.value
  role     = "roles/pubsub.publisher"
  member   = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "agent" {
  for_each     = google_pubsub_subscription.push
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
