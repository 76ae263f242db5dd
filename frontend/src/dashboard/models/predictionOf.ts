import { api, body, type Model, type Schemas } from "../../api/client";

/** A version's prediction of an image; null if it made none, or it was collected since. */
export async function predictionOf(model: Model, image: string): Promise<Schemas["PredictionView"] | null> {
  const made = await body(
    api.GET("/api/v1/images/{image}/predictions", { params: { path: { image }, query: { limit: 200 } } }),
  );
  return made.items.find((one) => one.model_version_id === model.id) ?? null;
}
